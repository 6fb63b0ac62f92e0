// The writer's side of the cache's log. Each worker fills a segment of its own; when it is full, the worker takes the
// oldest one that no worker writes (FIFO), and what was asked for in that one stays (reinsertion), for as many turns of
// the log as it had hits, three at most; so does some of what was not. A worker may die between any two instructions:
//
//   the owner word is set by compare-exchange, so one worker writes a segment; worker_ended() frees it
//   the generation is odd while entries move, so readers find none; worker_ended() ends that with a generation that
//     none of the entries were committed for
//   the commit word of an entry is written behind all the rest of it (cache_entry.hpp)
#pragma once

#include "cache/cache_entry.hpp"
#include "cache/cache_index.hpp"
#include "cache/cache_memory.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace dotrelay {

/// An answer to keep.
struct NewAnswer {
  Bytes message;                               ///< with the question of the key; any ID
  std::span<const std::uint16_t> ttl_offsets;  ///< where the TTLs stand that count down, in octets of the message
  std::uint32_t lifetime_seconds = 0;
  std::uint8_t kind = 0;  ///< the caller's
};

class SegmentLog {
 public:
  /// `worker`: a number from 1 that no other process has that writes the same memory. `stale_for_seconds`: how long
  /// after its end an entry is still worth keeping.
  SegmentLog(const CacheMemory& memory, std::uint32_t worker, std::uint32_t stale_for_seconds)
      : memory_(memory), index_(memory), worker_(worker), stale_for_seconds_(stale_for_seconds) {}

  /// Appends an entry and leads the index to it. False when no segment can be had, because workers write all of them.
  /// The answer keeps the limits of EntryHeader::plausible().
  bool append(const CacheKey& key, std::uint64_t hash, const NewAnswer& answer, std::uint32_t now);

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// Of a segment, from one renewal to the next.
  struct Life {
    std::uint32_t generation;
    std::uint32_t epoch;
  };

  bool open_segment(std::uint32_t now);
  /// Brings the segment to its next life, with the entries that stay at its beginning.
  void renew(std::uint32_t segment, std::uint32_t now);
  /// Moves the entries that stay to the beginning of the segment and takes the others out of the index. Returns how
  /// many words they take.
  std::uint32_t keep_entries(std::uint32_t segment, Life old, std::uint32_t now);

  CacheMemory memory_;
  CacheIndex index_;
  std::uint32_t worker_;
  std::uint32_t stale_for_seconds_;
  // Of the segment that this worker fills. They are not read back from the shared memory.
  std::uint32_t segment_ = kNone;
  std::uint32_t stamp_ = 0;
  std::uint32_t used_words_ = 0;
};

}  // namespace dotrelay
