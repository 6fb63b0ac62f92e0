// The [limits] table: what clients may take.
#include "config/setters.hpp"

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

/// A supervisor and one worker with the system's CA bundle take about 4 MiB when idle.
constexpr std::int64_t kMinMemory = std::int64_t{6} << 20;
constexpr std::int64_t kMaxMemory = std::int64_t{64} << 30;

KeyProblem take_memory(const KeyTarget& target, std::string_view text) {
  std::uint64_t& memory = target.config.limits.memory;
  memory = 0;
  if (text == "auto") return std::nullopt;
  const Result<std::int64_t> octets = parse_in_range(text, target.range);
  if (!octets) return octets.error().message;
  memory = static_cast<std::uint64_t>(*octets);
  return std::nullopt;
}

constexpr KeyRow kKeys[] = {
    {
        .name = "tcp_clients",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          target.config.limits.tcp_clients = static_cast<std::uint32_t>(value);
        }},
        .range = {1, 1'000'000},
        .default_value = "10000",
        .allowed = "{}",
        .help =
            "Client connections of the whole relay, shared out to the workers. One more closes the one that has been "
            "idle longest.",
    },
    {
        .name = "tcp_idle",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.limits.tcp_idle);
        }},
        .range = Range::durations(100ms, 1h),
        .default_value = R"("30s")",
        .allowed = "a duration from {}",
        .help = "How long a client connection that is owed no answer stays open, and how long a half-sent query or an "
                "answer that the client does not read may take.",
    },
    {
        .name = "memory",
        .set = SetText{take_memory},
        .range = {kMinMemory, kMaxMemory, Unit::octets},
        .default_value = R"("auto")",
        .allowed = "\"auto\" or a size from {}",
        .help =
            "What all processes of the relay together may take, the kernel's buffers for TCP clients included. When it "
            "is used up, the client that owes most is closed, and queries get SERVFAIL. \"auto\": an eighth of the "
            "machine's memory or half of what the cgroup allows, at most 64 MiB for each worker. When workers = 0, no "
            "more workers start than the memory suffices for.",
    },
};

}  // namespace

TableRow limits_table() { return {.name = "limits", .keys = kKeys}; }

}  // namespace dotrelay
