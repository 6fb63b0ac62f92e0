// Another process writes wildly: nothing is read out of bounds (the sanitizers see to that), and what is found is at
// least an answer to the question, with its TTLs within it.
#include "cache/answer_cache.hpp"
#include "cache/cache_keeper.hpp"
#include "cache_fixture.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <thread>

namespace dotrelay {
namespace {

using test::CacheBlock;
using test::CacheWorker;
using test::sample_answer;
using test::SampleAnswer;

/// Writes random words, and words from elsewhere, which are more likely to be taken for good.
class Scribbler {
 public:
  explicit Scribbler(std::span<SharedWord> words, std::uint64_t seed) : words_(words), seed_(seed) {}

  void scribble() {
    SharedWord& word = any();
    switch (next() % 4) {
      case 0:
        word = static_cast<std::uint32_t>(next());
        break;
      case 1:
        word = any().load();
        break;
      case 2:
        word = word ^ (1U << next() % 32);
        break;
      case 3:
        word = word + static_cast<std::uint32_t>(next() % 5) - 2;
        break;
    }
  }

 private:
  std::uint64_t next() { return test::mixed(seed_ += 0x9e3779b97f4a7c15); }
  SharedWord& any() { return words_[next() % words_.size()]; }

  std::span<SharedWord> words_;
  std::uint64_t seed_;
};

/// Whether what is found, if anything, may be handed to a client's answer.
bool harmless(CacheWorker& worker, const SampleAnswer& sample) {
  const CachedAnswer found = worker.find(sample.key());
  if (!found) return true;
  const std::size_t name_size = sample.name.size();
  if (found.size < name_size + 16 || found.size > kMaxCachedMessage) return false;
  const Bytes question = worker.message(found).subspan(12, name_size + 4);
  const Bytes asked = Bytes(sample.message).subspan(12, name_size + 4);
  if (!dns::same_name(question.first(name_size), sample.name)) return false;
  if (!equal(question.subspan(name_size), asked.subspan(name_size))) return false;
  for (const std::uint16_t offset : found.ttls()) {
    if (offset + 4U > found.size) return false;
  }
  return true;
}

/// Puts and finds; returns how often something was found.
std::uint32_t live_with(CacheWorker& worker, std::uint32_t rounds, auto disturb) {
  std::uint32_t hits = 0;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    const auto question = static_cast<std::uint32_t>(test::mixed(i) % 50);
    const SampleAnswer sample = sample_answer(question, i, 20 * question);
    if (i % 4 == 0) worker.put(sample);
    disturb();
    REQUIRE(harmless(worker, sample));
    hits += worker.find(sample.key()) ? 1 : 0;
  }
  return hits;
}

TEST_CASE("words that change between two calls") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  const CacheMemory memory = block.attach();
  Scribbler scribbler(block.words(), 1);
  std::uint32_t turn = 0;
  const std::uint32_t hits = live_with(worker, 20'000, [&] {
    scribbler.scribble();
    // The segments' owners would soon all be strangers.
    if (++turn % 64 != 0) return;
    for (std::uint32_t i = 0; i < memory.layout().segments; ++i) memory.owner(i).store(0);
    CacheKeeper(memory).worker_ended(1);
  });
  CHECK(hits > 1000);
}

TEST_CASE("words that change during calls") {
  const CacheBlock block(kMinCacheBytes);
  CacheWorker worker(block);
  std::atomic<bool> done = false;
  // Behind the words of the segments, so that the cache goes on working.
  const std::size_t first = CacheLayout(kMinCacheBytes).index_at;
  std::thread other([&] {
    Scribbler scribbler(block.words().subspan(first), 2);
    while (!done) scribbler.scribble();
  });
  const std::uint32_t hits = live_with(worker, 15'000, [] {});
  done = true;
  other.join();
  CHECK(hits > 1000);
}

TEST_CASE("a memory of one value throughout") {
  for (const std::uint32_t value : {0U, 1U, 0x00010001U, 0x7fffffffU, 0xffff0000U, UINT32_MAX}) {
    const CacheBlock block(kMinCacheBytes);
    CacheWorker worker(block);
    for (SharedWord& word : block.words()) word = value;
    live_with(worker, 200, [] {});
  }
}

}  // namespace
}  // namespace dotrelay
