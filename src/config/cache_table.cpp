// The [cache] table: how much is remembered, and for how long.
#include "config/setters.hpp"

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

KeyProblem take_size(const KeyTarget& target, std::string_view text) {
  std::uint64_t& size = target.config.cache.size;
  size = 0;
  if (text == "0") return std::nullopt;
  const Result<std::int64_t> octets = parse_in_range(text, target.range);
  if (!octets) return octets.error().message;
  size = static_cast<std::uint64_t>(*octets);
  return std::nullopt;
}

constexpr KeyRow kKeys[] = {
    {
        .name = "size",
        .set = SetText{take_size},
        .range = {kMinCacheSize, kMaxCacheSize, Unit::octets},
        .default_value = R"("4MiB")",
        .allowed = "\"0\" for no cache, or a size from {}",
        .help =
            "The memory in which all workers together keep answers. It survives a worker's death, a reload and an "
            "upgrade; a reload that changes the upstreams empties it. A MiB holds about 4,900 answers. It is a part of "
            "limits.memory, and at most a quarter of it. Memory is taken as it is filled.",
    },
    {
        .name = "max_ttl",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.cache.max_ttl);
        }},
        .range = Range::durations(1s, 168h),
        .default_value = R"("1d")",
        .allowed = "a duration from {}",
        .help =
            "The longest time that an answer is used, whatever its TTL. Clients see no larger TTL in an answer from "
            "the cache. An answer that says that there is no such name or no such data is used for 3h at most.",
    },
    {
        .name = "stale",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.cache.stale);
        }},
        .range = Range::durations(0s, 1h),
        .default_value = R"("1h")",
        .allowed = "a duration from {}",
        .help =
            "How long after its end an answer may still be given when no upstream can be reached, or when none has "
            "responded within 1.8 s or half of the deadline, whichever is less (RFC 8767). The client gets it with a "
            "TTL of 5 s and Extended DNS Error 3 (Stale Answer). 0s: never.",
    },
};

}  // namespace

TableRow cache_table() { return {.name = "cache", .keys = kKeys}; }

}  // namespace dotrelay
