// Where the parts of the answer cache's memory lie. Everything follows from its size in octets, so processes that agree
// on size and version agree on the rest, and nothing of it is read back from memory that another process can write.
//
//   header   64 octets: magic, version, size, hash key, epoch, cursor of the log
//   segments 16 octets each: owner, generation, epoch
//   index    buckets of 64 octets, one cache line each
//   log      segments of entries
//
// Counts and places are in words of 32 bits, because that is what all CPUs change at once (base/shared_word.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace dotrelay {

inline constexpr std::size_t kMinCacheBytes = std::size_t{32} << 10;
inline constexpr std::size_t kMaxCacheBytes = std::size_t{1} << 30;

struct CacheLayout {
  static constexpr std::uint32_t kHeaderWords = 16;
  static constexpr std::uint32_t kSegmentWords = 4;
  static constexpr std::uint32_t kBucketWords = 16;
  /// Entries begin at multiples of this, so that a slot of the index can name one with few bits.
  static constexpr std::uint32_t kUnitWords = 4;
  /// No entry is smaller, so none begins nearer to the end of a segment, and a header can be read wherever one may
  /// begin.
  static constexpr std::uint32_t kLeastEntryWords = 12;
  /// An entry takes about 215 octets, so a bucket holds 5 on average. Of those that take 128, it holds 8; then 1 bucket
  /// in 200 has more than its 15 slots.
  static constexpr std::uint32_t kLogWordsPerBucket = 256;

  /// `bytes`: from kMinCacheBytes to kMaxCacheBytes.
  constexpr explicit CacheLayout(std::size_t bytes) {
    const std::size_t words = bytes / sizeof(std::uint32_t);
    // 64 segments, so that the one that is being written is little of the whole. At least 8 KiB, so that any answer
    // fits beside what is kept of the segment's last life; at most 128 KiB, since a larger one takes long to renew.
    segment_words = static_cast<std::uint32_t>(std::clamp(std::bit_floor(words / 64), kSmallest, kLargest));
    segment_bits = std::bit_width(segment_words) - 1;
    const std::size_t each = kSegmentWords + segment_words / kLogWordsPerBucket * kBucketWords + segment_words;
    segments = static_cast<std::uint32_t>((words - kHeaderWords - kSlack) / each);
    buckets = segments * (segment_words / kLogWordsPerBucket);
    index_at = kHeaderWords + aligned(segments * kSegmentWords);
    log_at = index_at + buckets * kBucketWords;
    unit_bits = std::bit_width(units());
  }

  // By shift and mask: a division costs as much as the rest of a miss.
  [[nodiscard]] constexpr std::uint32_t segment_of(std::uint32_t log_word) const { return log_word >> segment_bits; }
  [[nodiscard]] constexpr std::uint32_t first_word_of(std::uint32_t segment) const { return segment << segment_bits; }
  /// From a word of the log to the end of its segment.
  [[nodiscard]] constexpr std::uint32_t words_left(std::uint32_t log_word) const {
    return segment_words - (log_word & (segment_words - 1));
  }
  /// Units that entries can begin at.
  [[nodiscard]] constexpr std::uint32_t units() const {
    return (first_word_of(segments) - kLeastEntryWords) / kUnitWords + 1;
  }

  std::uint32_t segment_words;  ///< 2 to the power of segment_bits
  int segment_bits;
  std::uint32_t segments;
  std::uint32_t buckets;
  std::uint32_t index_at;  ///< behind the segments' words, which follow the header
  std::uint32_t log_at;
  int unit_bits;  ///< that number each unit of the log, from 1

 private:
  static constexpr std::size_t kSmallest = 2048;
  static constexpr std::size_t kLargest = 32768;
  static constexpr std::size_t kSlack = kBucketWords;  // the buckets begin at a cache line

  static constexpr std::uint32_t aligned(std::uint32_t word) {
    return (word + kBucketWords - 1) / kBucketWords * kBucketWords;
  }
};

}  // namespace dotrelay
