// The memory of the answer cache as its processes see it: header, words of the segments, index and log. The caller maps
// it and keeps it mapped. Zeros behind the header are an empty cache, so pages that were never used cost nothing.
//
// Any process that has it mapped may write anything anywhere at any time, because it was broken into. So the header is
// read once, when a process attaches; every place is computed from that; and what is read later is checked first.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/shared_word.hpp"
#include "base/siphash.hpp"
#include "cache/cache_layout.hpp"

#include <cstdint>

namespace dotrelay {

/// Copies are views of the same memory.
class CacheMemory {
 public:
  /// Writes the header of a new cache and nothing else. `memory` is all zero, aligned to a cache line, and its size is
  /// a multiple of 64 from kMinCacheBytes to kMaxCacheBytes.
  static void format(MutableBytes memory, HashKey hash_key);

  /// A view of memory that format() was called for, in this process or another. An error when another version or size
  /// was formatted.
  static Result<CacheMemory> attach(MutableBytes memory);

  [[nodiscard]] const CacheLayout& layout() const { return layout_; }
  [[nodiscard]] HashKey hash_key() const { return hash_key_; }

  /// Of the moment when this view was attached. What is put under one epoch is found under the same one only.
  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
  /// The same memory under another epoch: a worker that takes a dead one's place belongs to the dead one's.
  [[nodiscard]] CacheMemory at_epoch(std::uint32_t epoch) const;
  /// Begins an epoch for those that attach from now on, and returns it.
  std::uint32_t begin_epoch();

  /// Counts the segments that were opened; modulo their number it is the oldest one.
  [[nodiscard]] SharedWord& cursor() const;

  /// The worker that writes the segment; 0: none does. `segment` is less than layout().segments.
  [[nodiscard]] SharedWord& owner(std::uint32_t segment) const { return segment_word(segment, 0); }
  /// Odd while the segment passes from one life to the next; else the number of its life.
  [[nodiscard]] SharedWord& generation(std::uint32_t segment) const { return segment_word(segment, 1); }
  /// Under which the segment's entries were put.
  [[nodiscard]] SharedWord& segment_epoch(std::uint32_t segment) const { return segment_word(segment, 2); }

  /// The kBucketWords words of the bucket for the hash.
  [[nodiscard]] SharedWord* bucket(std::uint64_t hash) const {
    const auto number = static_cast<std::uint32_t>(((hash >> 32) * layout_.buckets) >> 32);
    return words_ + layout_.index_at + number * CacheLayout::kBucketWords;
  }

  /// The log from one of its words on.
  [[nodiscard]] SharedWord* log(std::uint32_t word) const { return words_ + layout_.log_at + word; }

 private:
  CacheMemory(SharedWord* words, const CacheLayout& layout);

  [[nodiscard]] SharedWord& segment_word(std::uint32_t segment, std::uint32_t word) const {
    return words_[CacheLayout::kHeaderWords + segment * CacheLayout::kSegmentWords + word];
  }

  SharedWord* words_;
  CacheLayout layout_;
  HashKey hash_key_;
  std::uint32_t epoch_;
};

}  // namespace dotrelay
