// What the shared answer cache costs a query: the hash of its key, a hit with the copy of the answer, a miss, and
// keeping an answer.
#include "cache/answer_cache.hpp"
#include "measuring.hpp"
#include "samples.hpp"

#include <array>
#include <memory>
#include <vector>

namespace dotrelay::bench {
namespace {

constexpr std::uint32_t kNow = 1000;
constexpr std::size_t kCacheBytes = std::size_t{4} << 20;
/// As an answer is that upstreams no longer pad.
constexpr std::size_t kMessage = 115;
constexpr std::array<std::uint16_t, 2> kTtlOffsets{40, 60};

struct alignas(64) Line {
  std::uint8_t octets[64];
};

/// A cache with an answer for each of `count` names.
class Filled {
 public:
  explicit Filled(std::size_t count) : lines_(new Line[kCacheBytes / sizeof(Line)]()), names_(count) {
    const MutableBytes memory(lines_[0].octets, kCacheBytes);
    CacheMemory::format(memory, {1, 2});
    cache = std::make_unique<AnswerCache>(*CacheMemory::attach(memory), 1, 0);
    for (std::size_t i = 0; i < count; ++i) {
      names_[i] = sample_name(i);
      keys.push_back({.question = {names_[i], 1, 1}, .zone = 0, .flags = 0});
      check(put(keys[i]) == PutResult::kept, "an answer is kept");
    }
  }

  PutResult put(const CacheKey& key) {
    ByteWriter writer(message_);
    dns::write_header(writer, {0, 0x8180}, {1, 2, 0, 0});
    dns::write_question(writer, key.question);
    return cache->put(key, cache->hash(key), {Bytes(message_).first(kMessage), kTtlOffsets, 300, 0}, kNow);
  }

  std::unique_ptr<AnswerCache> cache;
  std::vector<CacheKey> keys;
  std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(AnswerCache::kBuffer);

 private:
  std::unique_ptr<Line[]> lines_;
  std::vector<Octets> names_;
  std::vector<std::uint8_t> message_ = std::vector<std::uint8_t>(kMaxCachedMessage);
};

void hash(benchmark::State& state) {
  Filled filled(8);
  Ring ring(std::span<const CacheKey>{filled.keys});
  for (auto _ : state) benchmark::DoNotOptimize(filled.cache->hash(ring.next()));
  count_items(state);
}

void hit(benchmark::State& state) {
  Filled filled(static_cast<std::size_t>(state.range(0)));
  std::size_t found = 0;
  for (const CacheKey& key : filled.keys) {
    found += filled.cache->find(key, filled.cache->hash(key), kNow, filled.buffer).size == kMessage ? 1 : 0;
  }
  check(found * 100 >= filled.keys.size() * 99, "what was put is found");
  Ring ring(std::span<const CacheKey>{filled.keys});
  for (auto _ : state) {
    const CacheKey& key = ring.next();
    benchmark::DoNotOptimize(filled.cache->find(key, filled.cache->hash(key), kNow, filled.buffer));
    benchmark::DoNotOptimize(filled.buffer.data());
    benchmark::ClobberMemory();
  }
  count_items(state);
}

void miss(benchmark::State& state) {
  Filled filled(static_cast<std::size_t>(state.range(0)));
  for (CacheKey& key : filled.keys) key.question.type = 28;
  check(!filled.cache->find(filled.keys[0], filled.cache->hash(filled.keys[0]), kNow, filled.buffer),
        "what was not put is not found");
  Ring ring(std::span<const CacheKey>{filled.keys});
  for (auto _ : state) {
    const CacheKey& key = ring.next();
    benchmark::DoNotOptimize(filled.cache->find(key, filled.cache->hash(key), kNow, filled.buffer));
  }
  count_items(state);
}

/// With what it costs to renew a segment now and then.
void put(benchmark::State& state) {
  Filled filled(static_cast<std::size_t>(state.range(0)));
  Ring ring(std::span<const CacheKey>{filled.keys});
  for (auto _ : state) benchmark::DoNotOptimize(filled.put(ring.next()));
  count_items(state);
}

BENCHMARK(hash)->Name("cache/hash");
BENCHMARK(hit)->Name("cache/hit")->ArgName("names")->Arg(8)->Arg(8192);
BENCHMARK(miss)->Name("cache/miss")->ArgName("names")->Arg(8)->Arg(8192);
BENCHMARK(put)->Name("cache/put")->ArgName("names")->Arg(8)->Arg(8192);

}  // namespace
}  // namespace dotrelay::bench
