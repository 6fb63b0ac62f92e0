// The cache as a worker sees it: what is found under which key, how old, and what is not kept.
#include "cache/answer_cache.hpp"

#include "cache_fixture.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <unordered_map>

namespace dotrelay {
namespace {

using test::CacheBlock;
using test::CacheWorker;
using test::sample_answer;
using test::SampleAnswer;

TEST_CASE("what one worker puts, every worker finds, with its age") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker writer(block, 1);
  CacheWorker reader(block, 2);
  const SampleAnswer sample = sample_answer(1, 2, 50);
  CHECK_FALSE(reader.find(sample.key()));
  const std::uint64_t hash = writer.cache.hash(sample.key());
  REQUIRE(writer.cache.put(sample.key(), hash, sample.answer(300, 17), 1000) == PutResult::kept);

  const CachedAnswer found = reader.find(sample.key(), 1030);
  REQUIRE(found);
  CHECK(equal(reader.message(found), sample.message));
  CHECK(found.age_seconds == 30);
  CHECK(found.lifetime_seconds == 300);
  CHECK(found.fresh());
  CHECK(found.kind == 17);
  CHECK(std::vector(found.ttls().begin(), found.ttls().end()) == sample.ttl_offsets);
}

TEST_CASE("a name in any spelling is found in that of the query it was fetched for") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  const SampleAnswer sample = sample_answer(1, 0, 10);
  worker.put(sample);
  const test::Octets spelled = test::name("HosT1.eXAMPLE");
  const CachedAnswer found = worker.find({.question = {spelled, 16, 1}, .zone = 0, .flags = 0});
  REQUIRE(found);
  CHECK(equal(worker.message(found), sample.message));
}

TEST_CASE("an answer ends; then it is stale for as long as the worker was told") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker strict(block, 1, 0);
  CacheWorker lenient(block, 2, 3600);
  const SampleAnswer sample = sample_answer(1, 0, 10);
  strict.put(sample, 1000, 300);
  CHECK(strict.find(sample.key(), 1299).fresh());
  CHECK_FALSE(strict.find(sample.key(), 1300));
  CHECK(lenient.find(sample.key(), 1300));
  CHECK_FALSE(lenient.find(sample.key(), 1300).fresh());
  CHECK(lenient.find(sample.key(), 4899).age_seconds == 3899);
  CHECK_FALSE(lenient.find(sample.key(), 4900));
}

TEST_CASE("ages where the seconds begin again") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  const SampleAnswer sample = sample_answer(1, 0, 10);
  worker.put(sample, UINT32_MAX - 99, 300);
  CHECK(worker.find(sample.key(), UINT32_MAX).age_seconds == 99);
  CHECK(worker.find(sample.key(), 50).age_seconds == 150);
  CHECK_FALSE(worker.find(sample.key(), 200));
}

TEST_CASE("the newest answer to a question is the one that is found") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker first(block, 1);
  CacheWorker second(block, 2);
  first.put(1, 1);
  second.put(1, 2);
  CHECK(first.version_of(1) == 2);
  first.put(1, 3);
  CHECK(second.version_of(1) == 3);
}

TEST_CASE("type, class, zone and flags tell answers apart, also where the hash does not") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  const SampleAnswer sample = sample_answer(1, 0, 10);
  const test::Octets other_name = test::name("host2.example");
  const test::Octets upper_name = test::name("example");
  const std::uint64_t hash = worker.cache.hash(sample.key());
  REQUIRE(worker.cache.put(sample.key(), hash, sample.answer(), 100) == PutResult::kept);
  const CacheKey others[] = {
      {.question = {sample.name, 1, 1}, .zone = 0, .flags = 0},
      {.question = {sample.name, 16, 3}, .zone = 0, .flags = 0},
      {.question = {sample.name, 16, 1}, .zone = 1, .flags = 0},
      {.question = {sample.name, 16, 1}, .zone = 0, .flags = CacheKey::kDnssecOk},
      {.question = {other_name, 16, 1}, .zone = 0, .flags = 0},
      {.question = {upper_name, 16, 1}, .zone = 0, .flags = 0},
  };
  for (const CacheKey& other : others) {
    CHECK_FALSE(worker.find(other));
    CHECK_FALSE(worker.cache.find(other, hash, 100, worker.buffer));
  }
  CHECK(worker.find(sample.key()));
}

TEST_CASE("two names of one bucket and one tag") {
  const CacheBlock block(kMinCacheBytes);
  const CacheLayout layout(kMinCacheBytes);
  CacheWorker worker(block);
  std::unordered_map<std::uint64_t, std::uint32_t> seen;
  std::uint32_t pairs = 0;
  for (std::uint32_t number = 0; number < 60'000 && pairs < 3; ++number) {
    const test::Octets name = test::name("host" + std::to_string(number) + ".example");
    const std::uint64_t hash = worker.cache.hash({.question = {name, 16, 1}, .zone = 0, .flags = 0});
    const std::uint64_t bucket = ((hash >> 32) * layout.buckets) >> 32;
    const auto tag = static_cast<std::uint32_t>(hash >> 32) << (layout.unit_bits + 2);
    const auto [at, fresh] = seen.emplace(bucket << 32 | tag, number);
    if (fresh) continue;
    ++pairs;
    worker.put(at->second, 1);
    CHECK_FALSE(worker.has(number));
    worker.put(number, 2);
    CHECK(worker.version_of(at->second) == 1);
    CHECK(worker.version_of(number) == 2);
  }
  CHECK(pairs > 0);
}

TEST_CASE("what is too large or has too many records is not kept, and the caller is told") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  SampleAnswer sample = sample_answer(1, 0, 10);
  sample.message.resize(kMaxCachedMessage);
  CHECK(worker.put(sample) == PutResult::kept);
  CHECK(worker.find(sample.key()).size == kMaxCachedMessage);
  sample.message.resize(kMaxCachedMessage + 1);
  CHECK(worker.put(sample) == PutResult::too_large);
  sample.message.resize(1000);
  sample.ttl_offsets.assign(kMaxCachedTtls, 40);
  CHECK(worker.put(sample) == PutResult::kept);
  CHECK(worker.find(sample.key()).ttls().size() == kMaxCachedTtls);
  sample.ttl_offsets.push_back(40);
  CHECK(worker.put(sample) == PutResult::too_many_records);
}

TEST_CASE("a refresh is claimed by one worker") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker first(block, 1);
  CacheWorker second(block, 2);
  const std::uint64_t hash = first.cache.hash(sample_answer(1, 0, 10).key());
  CHECK(first.cache.claim_refresh(hash, 100, 5));
  CHECK_FALSE(second.cache.claim_refresh(hash, 101, 5));
  CHECK(second.cache.claim_refresh(hash, 105, 5));
}

TEST_CASE("many workers at once: every answer that is found is whole") {
  constexpr std::uint32_t kWorkers = 3;
  constexpr std::uint32_t kQuestions = 60;
  const CacheBlock block(2 * kMinCacheBytes);
  std::atomic<int> wrong = 0;
  std::atomic<int> hits = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t number = 1; number <= kWorkers; ++number) {
    threads.emplace_back([&, number] {
      CacheWorker worker(block, number);
      for (std::uint32_t i = 0; i < 10'000; ++i) {
        const auto question = static_cast<std::uint32_t>(test::mixed(i * kWorkers + number) % kQuestions);
        const SampleAnswer sample = sample_answer(question, i, 10 * question);
        if (const CachedAnswer found = worker.find(sample.key())) {
          ++hits;
          if (!test::is_sample(question, 10 * question, worker.message(found))) ++wrong;
        }
        if (i % 3 == 0) worker.put(sample);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(hits > 1000);
}

}  // namespace
}  // namespace dotrelay
