// A cache in memory of the test's own, and workers that use it.
#pragma once

#include "cache/answer_cache.hpp"
#include "cache/cache_keeper.hpp"
#include "sample_answers.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <vector>

namespace dotrelay::test {

/// A block of the heap and no octet more, so that a read past it is found.
class CacheBlock {
 public:
  static constexpr HashKey kHashKey{1, 2};

  explicit CacheBlock(std::size_t bytes) : lines_(new Line[bytes / sizeof(Line)]()), bytes_(bytes) {
    CacheMemory::format(octets(), kHashKey);
  }

  [[nodiscard]] MutableBytes octets() const { return {lines_[0].octets, bytes_}; }
  [[nodiscard]] std::span<SharedWord> words() const {
    return {reinterpret_cast<SharedWord*>(lines_.get()), bytes_ / sizeof(SharedWord)};
  }
  [[nodiscard]] CacheMemory attach() const { return *CacheMemory::attach(octets()); }
  [[nodiscard]] CacheKeeper keeper() const { return CacheKeeper(attach()); }

 private:
  struct alignas(64) Line {
    std::uint8_t octets[64];
  };
  std::unique_ptr<Line[]> lines_;
  std::size_t bytes_;
};

/// Puts and finds sample answers.
class CacheWorker {
 public:
  explicit CacheWorker(const CacheBlock& block, std::uint32_t number = 1, std::uint32_t stale_for_seconds = 0)
      : CacheWorker(block.attach(), number, stale_for_seconds) {}
  CacheWorker(const CacheMemory& memory, std::uint32_t number, std::uint32_t stale_for_seconds = 0)
      : cache(memory, number, stale_for_seconds), buffer(AnswerCache::kBuffer) {}

  PutResult put(const SampleAnswer& sample, std::uint32_t now = 100, std::uint32_t lifetime_seconds = 300) {
    return cache.put(sample.key(), cache.hash(sample.key()), sample.answer(lifetime_seconds), now);
  }
  PutResult put(std::uint32_t number, std::uint32_t version = 0, std::uint32_t now = 100) {
    return put(sample_answer(number, version, kData), now);
  }

  CachedAnswer find(const CacheKey& key, std::uint32_t now = 100) {
    return cache.find(key, cache.hash(key), now, buffer);
  }
  /// The version that is found of the question's answer.
  std::optional<std::uint32_t> version_of(std::uint32_t number, std::uint32_t now = 100) {
    const CachedAnswer found = find(sample_answer(number, 0, kData).key(), now);
    if (!found) return std::nullopt;
    REQUIRE(is_sample(number, kData, message(found)));
    return std::uint32_t{load_u16(&buffer[found.size - 4])} << 16 | load_u16(&buffer[found.size - 2]);
  }
  bool has(std::uint32_t number, std::uint32_t now = 100) { return version_of(number, now).has_value(); }

  [[nodiscard]] Bytes message(const CachedAnswer& found) const { return Bytes(buffer).first(found.size); }

  /// Octets of the first record of samples that are told by number.
  static constexpr std::size_t kData = 100;

  AnswerCache cache;
  std::vector<std::uint8_t> buffer;
};

/// Entries of the samples that fill one segment of a small cache.
inline constexpr std::uint32_t kSamplesInSegment = 8192 / 208;

}  // namespace dotrelay::test
