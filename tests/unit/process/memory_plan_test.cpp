// How much memory, and how many workers, machines of different sizes give the relay.
#include "process/memory_plan.hpp"

#include "relay/memory_budget.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

std::uint64_t for_clients(std::uint64_t limit, std::uint32_t workers) {
  return budget_chunks(limit, 0, workers) * std::uint64_t{MemoryBudget::kChunkBytes};
}

TEST_CASE("a gateway of 64 MB: 8 MB for two workers and their clients") {
  const std::uint64_t available = 64 * kMiB / 8;
  CHECK(workers_for_memory(available, 4) == 2);
  CHECK(memory_limit(0, available, 2) == 8 * kMiB);
  CHECK(for_clients(8 * kMiB, 2) + kSupervisorBytes + 2 * kWorkerBytes <= 8 * kMiB);
}

TEST_CASE("a gateway of 16 MB still gets a worker, and the least that one can work with") {
  CHECK(workers_for_memory(2 * kMiB, 2) == 1);
  CHECK(budget_chunks(2 * kMiB, 0, 1) == MemoryBudget::kMinChunksPerWorker);
}

TEST_CASE("a pod of 128 MiB on a node of 64 CPUs: fewer workers than CPUs") {
  const std::uint32_t workers = workers_for_memory(64 * kMiB, 64);
  CHECK(workers == 20);
  CHECK(for_clients(64 * kMiB, workers) + kSupervisorBytes + workers * kWorkerBytes <= 64 * kMiB);
}

TEST_CASE("a large machine: no more than the workers can use; a limit that is written holds") {
  CHECK(workers_for_memory(std::uint64_t{32} << 30, 64) == 64);
  CHECK(memory_limit(0, std::uint64_t{32} << 30, 4) == kSupervisorBytes + 4 * kMostBytesPerWorker);
  CHECK(memory_limit(16 * kMiB, std::uint64_t{32} << 30, 4) == 16 * kMiB);
}

}  // namespace
}  // namespace dotrelay
