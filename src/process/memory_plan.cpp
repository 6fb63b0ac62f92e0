// See memory_plan.hpp.
#include "process/memory_plan.hpp"

#include "relay/memory_budget.hpp"

#include <algorithm>

namespace dotrelay {

std::uint32_t workers_for_memory(std::uint64_t octets, std::uint32_t cpus) {
  const std::uint64_t possible = octets > kSupervisorBytes ? (octets - kSupervisorBytes) / kLeastBytesPerWorker : 0;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(possible, 1, std::max(1U, cpus)));
}

std::uint64_t memory_limit(std::uint64_t configured, std::uint64_t available, std::uint32_t workers) {
  return std::min(configured != 0 ? configured : available, kSupervisorBytes + workers * kMostBytesPerWorker);
}

std::uint32_t budget_chunks(std::uint64_t limit, std::uint64_t cache, std::uint32_t workers) {
  const std::uint64_t taken = kSupervisorBytes + workers * kWorkerBytes + cache;
  const std::uint64_t rest = limit > taken ? (limit - taken) / MemoryBudget::kChunkBytes : 0;
  return static_cast<std::uint32_t>(
      std::max<std::uint64_t>(rest, std::uint64_t{workers} * MemoryBudget::kMinChunksPerWorker));
}

}  // namespace dotrelay
