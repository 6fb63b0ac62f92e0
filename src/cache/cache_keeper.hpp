// What the supervisor does to the answer cache, which it owns: frees what a dead worker held, and empties it when other
// upstreams are asked from now on. Both leave the log's pages alone.
#pragma once

#include "cache/cache_memory.hpp"

#include <cstdint>

namespace dotrelay {

class CacheKeeper {
 public:
  explicit CacheKeeper(const CacheMemory& memory) : memory_(memory) {}

  /// Frees the segment that the worker was writing. Only when its process has ended, and before the number is given to
  /// another. What the worker had put stays.
  void worker_ended(std::uint32_t worker);

  /// Empties the cache for every process that attaches from now on, and returns the epoch that begins. Those that are
  /// attached already go on with what they know, and what they put is seen by none of the new ones: workers that drain
  /// may still get answers of upstreams that are no longer configured.
  std::uint32_t clear() { return memory_.begin_epoch(); }

 private:
  CacheMemory memory_;
};

}  // namespace dotrelay
