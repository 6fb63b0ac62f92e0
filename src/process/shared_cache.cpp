// See shared_cache.hpp.
#include "process/shared_cache.hpp"

#include "base/random.hpp"
#include "cache/cache_keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <utility>

namespace dotrelay {
namespace {

/// Of memory for a cache.
constexpr std::size_t kStep = 64;

MutableBytes octets_of(const SealedMemory& memory) {
  return {reinterpret_cast<std::uint8_t*>(memory.octets().data()), memory.octets().size()};
}

}  // namespace

static_assert(kMinCacheSize >= static_cast<std::int64_t>(kMinCacheBytes) &&
              kMaxCacheSize <= static_cast<std::int64_t>(kMaxCacheBytes));

Result<SharedCache> SharedCache::create(std::size_t octets) {
  Result<SealedMemory> memory = SealedMemory::create(octets / kStep * kStep);
  if (!memory) return memory.error();
  Random random;
  CacheMemory::format(octets_of(*memory), {random.u64(), random.u64()});
  const Result<CacheMemory> view = CacheMemory::attach(octets_of(*memory));
  if (!view) return view.error();
  return SharedCache(std::move(*memory), *view);
}

Result<SharedCache> SharedCache::map(UniqueFd fd) {
  Result<SealedMemory> memory = SealedMemory::map(std::move(fd));
  if (!memory) return memory.error();
  const Result<CacheMemory> view = CacheMemory::attach(octets_of(*memory));
  if (!view) return view.error();
  return SharedCache(std::move(*memory), *view);
}

Result<SharedCache> SharedCache::share() const {
  UniqueFd copy(fcntl(fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return Error{std::string("cannot share the cache: ") + std::strerror(errno)};
  return map(std::move(copy));
}

void SharedCache::worker_ended(pid_t pid) { CacheKeeper(view_).worker_ended(static_cast<std::uint32_t>(pid)); }

std::size_t cache_octets(const CacheConfig& config, std::uint64_t memory_limit) {
  if (config.size == 0) return 0;
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(memory_limit / 4, kMinCacheBytes, config.size));
}

bool answers_alike(const Config& left, const Config& right) {
  const auto same_names = [](const std::vector<PlacedName>& one, const std::vector<PlacedName>& other) {
    return std::ranges::equal(one, other, {}, &PlacedName::text, &PlacedName::text);
  };
  const auto same_zone = [&](const ZoneConfig& one, const ZoneConfig& other) {
    return same_names(one.names, other.names) && same_names(one.upstreams, other.upstreams) &&
           one.answer == other.answer;
  };
  if (!std::ranges::equal(left.zones, right.zones, same_zone)) return false;
  return std::ranges::equal(
      left.upstreams, right.upstreams, [](const UpstreamConfig& one, const UpstreamConfig& other) {
        return one.name == other.name && one.transport == other.transport && one.addresses == other.addresses &&
               one.tls_name == other.tls_name && one.ca_file == other.ca_file && one.pins == other.pins &&
               one.refused_is_final == other.refused_is_final && one.zone_only == other.zone_only;
      });
}

}  // namespace dotrelay
