// See cache_keeper.hpp.
#include "cache/cache_keeper.hpp"

#include <cassert>

namespace dotrelay {

void CacheKeeper::worker_ended(std::uint32_t worker) {
  assert(worker != 0);
  for (std::uint32_t segment = 0; segment < memory_.layout().segments; ++segment) {
    SharedWord& owner = memory_.owner(segment);
    if (owner.load(std::memory_order_acquire) != worker) continue;
    SharedWord& generation = memory_.generation(segment);
    const std::uint32_t left = generation.load(std::memory_order_relaxed);
    // Died between two lives: entries that stay were committed for the next one, and may not have been moved whole. So
    // the segment goes to the life after that, for which nothing was committed.
    if (left % 2 != 0) generation.store(left + 3, std::memory_order_release);
    // By compare-exchange: memory that another process writes wildly is not made worse.
    std::uint32_t dead = worker;
    owner.compare_exchange_strong(dead, 0, std::memory_order_release);
  }
}

}  // namespace dotrelay
