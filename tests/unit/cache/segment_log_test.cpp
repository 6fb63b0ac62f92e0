// What stays in the log and what goes: first in, first out, but for what was asked for.
#include "cache/segment_log.hpp"

#include "cache_fixture.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using test::CacheBlock;
using test::CacheWorker;
using test::kSamplesInSegment;

constexpr std::uint32_t kSegments = 3;  // of the smallest cache

/// Puts samples first, first + 1, ...
void put_many(CacheWorker& worker, std::uint32_t first, std::uint32_t count, std::uint32_t now = 100) {
  for (std::uint32_t i = first; i < first + count; ++i) REQUIRE(worker.put(i, 0, now) == PutResult::kept);
}

std::uint32_t count_of(CacheWorker& worker, std::uint32_t first, std::uint32_t count, std::uint32_t now = 100) {
  std::uint32_t found = 0;
  for (std::uint32_t i = first; i < first + count; ++i) found += worker.has(i, now) ? 1 : 0;
  return found;
}

TEST_CASE("the oldest segment goes when a new one is needed") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  put_many(worker, 0, kSegments * kSamplesInSegment);
  put_many(worker, 1000, 1);
  // Of what was not asked for a quarter stays.
  const std::uint32_t stayed = count_of(worker, 0, kSamplesInSegment);
  CHECK(stayed > kSamplesInSegment / 5);
  CHECK(stayed <= kSamplesInSegment / 4);
  CHECK(count_of(worker, kSamplesInSegment, 2 * kSamplesInSegment) == 2 * kSamplesInSegment);
  CHECK(worker.has(1000));
}

TEST_CASE("what was asked for stays, as long as it is asked for") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  put_many(worker, 0, kSegments * kSamplesInSegment);
  for (const std::uint32_t asked : {30U, 37U, 38U}) CHECK(worker.has(asked));
  put_many(worker, 1000, 2 * kSamplesInSegment);
  CHECK(count_of(worker, 30, 9) == 3);
  put_many(worker, 2000, 2 * kSamplesInSegment);
  CHECK(count_of(worker, 30, 9) == 3);
  // Three hits last for three turns and what is left of a fourth.
  put_many(worker, 3000, 8 * kSegments * kSamplesInSegment);
  CHECK(count_of(worker, 30, 9) == 0);
}

TEST_CASE("at most half a segment stays") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  put_many(worker, 0, kSegments * kSamplesInSegment);
  CHECK(count_of(worker, 0, kSamplesInSegment) == kSamplesInSegment);
  put_many(worker, 1000, 1);
  const std::uint32_t stayed = count_of(worker, 0, kSamplesInSegment);
  CHECK(stayed > 2 * kSamplesInSegment / 5);
  CHECK(stayed <= kSamplesInSegment / 2);
}

TEST_CASE("what has ended goes, even if it was asked for; while it may be given stale, it stays") {
  for (const std::uint32_t stale_for : {0U, 3600U}) {
    const CacheBlock block(kMinCacheBytes);
    CacheWorker worker(block, 1, stale_for);
    put_many(worker, 0, kSegments * kSamplesInSegment);
    CHECK(worker.has(0));
    CHECK(worker.has(1));
    put_many(worker, 1000, 1, 100 + 300);
    CHECK(count_of(worker, 0, kSamplesInSegment, 100 + 300) == (stale_for > 0 ? 2 : 0));
    CHECK(count_of(worker, 0, kSamplesInSegment, 100 + 299) == (stale_for > 0 ? 2 : 0));
  }
}

TEST_CASE("an answer that was replaced does not come back") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  REQUIRE(worker.put(5, 1) == PutResult::kept);
  CHECK(worker.version_of(5) == 1);
  put_many(worker, 100, kSamplesInSegment);
  REQUIRE(worker.put(5, 2) == PutResult::kept);
  CHECK(worker.version_of(5) == 2);
  put_many(worker, 1000, kSegments * kSamplesInSegment - kSamplesInSegment);
  CHECK(worker.version_of(5) == 2);
}

TEST_CASE("each worker has a segment of its own; without one nothing is kept") {
  const CacheBlock block(kMinCacheBytes);
  std::vector<CacheWorker> workers;
  for (std::uint32_t number = 1; number <= kSegments + 1; ++number) workers.emplace_back(block, number);
  for (std::uint32_t i = 0; i < kSegments; ++i) CHECK(workers[i].put(i) == PutResult::kept);
  CHECK(workers[3].put(3) == PutResult::no_segment);
  for (std::uint32_t i = 0; i < kSegments; ++i) CHECK(workers[3].has(i));
  // A full segment is given back, and then it is the oldest.
  put_many(workers[0], 100, kSamplesInSegment);
  CHECK(workers[3].put(3) == PutResult::no_segment);
  block.keeper().worker_ended(2);
  CHECK(workers[3].put(3) == PutResult::kept);
  CHECK(workers[0].has(3));
}

TEST_CASE("the count of opened segments may begin again") {
  const CacheBlock block(kMinCacheBytes);
  block.attach().cursor().store(UINT32_MAX - 1);
  CacheWorker worker(block);
  put_many(worker, 0, 5 * kSamplesInSegment);
  CHECK(worker.has(5 * kSamplesInSegment - 1));
}

TEST_CASE("the number of a segment's life may begin again") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  for (std::uint32_t i = 0; i < kSegments; ++i) memory.generation(i).store(UINT32_MAX - 1);
  CacheWorker worker(block);
  put_many(worker, 0, 4 * kSamplesInSegment);
  CHECK(memory.generation(0) == 2);
  CHECK(worker.has(4 * kSamplesInSegment - 1));
  CHECK(worker.has(2 * kSamplesInSegment));
  CHECK_FALSE(worker.has(kSamplesInSegment - 1));
}

TEST_CASE("the largest answers find room beside what stays") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  for (std::uint32_t i = 0; i < 50; ++i) {
    const test::SampleAnswer large = test::sample_answer(i, 0, 4000);
    REQUIRE(large.message.size() < kMaxCachedMessage);
    REQUIRE(worker.put(large) == PutResult::kept);
    REQUIRE(worker.find(large.key()));
    REQUIRE(test::is_sample(i, 4000, worker.message(worker.find(large.key()))));
    put_many(worker, 1000 + 20 * i, 20);
    REQUIRE(count_of(worker, 1000 + 20 * i, 20) == 20);
  }
}

}  // namespace
}  // namespace dotrelay
