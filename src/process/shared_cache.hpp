// The memory in which all workers keep answers. The supervisor owns it, and not a generation: it outlives workers, and
// the next generation gets it when it would ask the same upstreams. So does a program that is executed in the
// supervisor's place. Which answers stay is decided in cache/.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "cache/cache_memory.hpp"
#include "config/config.hpp"
#include "process/sealed_memory.hpp"

#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace dotrelay {

class SharedCache {
 public:
  /// An empty one. `octets` from kMinCacheBytes to kMaxCacheBytes; what is beyond a multiple of 64 is not used.
  static Result<SharedCache> create(std::size_t octets);
  /// Maps memory that create() has made in another process of the same program. Anything else is refused.
  static Result<SharedCache> map(UniqueFd fd);
  /// The same memory once more.
  [[nodiscard]] Result<SharedCache> share() const;

  [[nodiscard]] int fd() const { return memory_.fd(); }
  [[nodiscard]] std::size_t size() const { return memory_.octets().size(); }
  [[nodiscard]] const CacheMemory& view() const { return view_; }

  /// Frees what the process was writing when it ended.
  void worker_ended(pid_t pid);

 private:
  SharedCache(SealedMemory memory, const CacheMemory& view) : memory_(std::move(memory)), view_(view) {}

  SealedMemory memory_;
  CacheMemory view_;
};

/// Octets that the cache of a relay with this limit of memory has: as configured, but at most a quarter of the limit.
/// 0: none.
std::size_t cache_octets(const CacheConfig& config, std::uint64_t memory_limit);

/// Whether answers that were kept under one configuration are those that the upstreams of the other would give.
bool answers_alike(const Config& left, const Config& right);

}  // namespace dotrelay
