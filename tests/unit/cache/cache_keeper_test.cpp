// Workers that end between any two steps, and caches that are emptied.
#include "cache/cache_keeper.hpp"

#include "cache_fixture.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

using test::CacheBlock;
using test::CacheWorker;

TEST_CASE("what a worker had put outlives it, and its segment can be written again") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  {
    CacheWorker dead(block, 1);
    for (std::uint32_t i = 0; i < 5; ++i) REQUIRE(dead.put(i) == PutResult::kept);
  }
  CHECK(memory.owner(0) == 1);
  block.keeper().worker_ended(2);
  CHECK(memory.owner(0) == 1);
  block.keeper().worker_ended(1);
  CHECK(memory.owner(0) == 0);
  CacheWorker next(block, 1);
  for (std::uint32_t i = 0; i < 5; ++i) CHECK(next.has(i));
  // It begins with another segment, and comes to this one in its turn.
  const std::uint32_t life = memory.generation(0);
  for (std::uint32_t i = 100; i < 100 + 4 * test::kSamplesInSegment; ++i) REQUIRE(next.put(i) == PutResult::kept);
  CHECK(memory.generation(0) == life + 2);
}

TEST_CASE("a worker that died while entries moved leaves none, not even those committed for the next life") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  CacheWorker worker(block, 1);
  REQUIRE(worker.put(1) == PutResult::kept);
  const std::uint32_t alive = memory.generation(0);
  memory.generation(0).store(alive - 1);  // as it was before its last step
  CHECK_FALSE(worker.has(1));
  block.keeper().worker_ended(1);
  CHECK(memory.generation(0) % 2 == 0);
  CHECK(memory.generation(0) != alive);
  CHECK_FALSE(worker.has(1));
  CacheWorker next(block, 1);
  REQUIRE(next.put(1) == PutResult::kept);
  CHECK(next.has(1));
}

TEST_CASE("a cleared cache is empty for those that attach later, and stays so") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker old(block, 1);
  REQUIRE(old.put(1) == PutResult::kept);
  REQUIRE(old.put(2) == PutResult::kept);
  const std::vector<std::uint8_t> before(block.octets().begin(), block.octets().end());
  CHECK(block.keeper().clear() == 2);
  CHECK(std::equal(before.begin() + 64, before.end(), block.octets().begin() + 64));

  CacheWorker fresh(block, 2);
  CHECK_FALSE(fresh.has(1));
  // A worker that drains had asked before; its answer is for its own clients.
  REQUIRE(old.put(3) == PutResult::kept);
  CHECK(old.has(3));
  CHECK_FALSE(fresh.has(3));
  REQUIRE(fresh.put(1, 7) == PutResult::kept);
  CHECK(fresh.version_of(1) == 7);
  CHECK(old.version_of(1) == 0);
  // The place of an old worker that died while the new ones start.
  CacheWorker replacement(block.attach().at_epoch(1), 3);
  CHECK(replacement.version_of(1) == 0);
}

TEST_CASE("segments of the last epoch are used again, and what was asked for in them does not stay") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker old(block, 1);
  for (std::uint32_t i = 0; i < 3 * test::kSamplesInSegment; ++i) REQUIRE(old.put(i) == PutResult::kept);
  for (std::uint32_t i = 0; i < 3 * test::kSamplesInSegment; ++i) REQUIRE(old.has(i));
  block.keeper().clear();
  block.keeper().worker_ended(1);
  CacheWorker fresh(block, 1);
  for (std::uint32_t i = 0; i < 3 * test::kSamplesInSegment; ++i) {
    REQUIRE(fresh.put(i, 1) == PutResult::kept);
    REQUIRE(fresh.version_of(i) == 1);
  }
  // Nothing of the old epoch is left in the index either.
  std::uint32_t slots = 0;
  const CacheMemory memory = block.attach();
  for (std::uint32_t i = 0; i < memory.layout().buckets * CacheLayout::kBucketWords; ++i) {
    slots += memory.bucket(0)[i] != 0 ? 1 : 0;
  }
  CHECK(slots == 3 * test::kSamplesInSegment);
}

}  // namespace
}  // namespace dotrelay
