// The answer cache as a worker uses it: one for all workers, in memory that they share (cache_memory.hpp). It keeps
// octets and says how old they are; whether an answer may be given, fresh or stale, and what its TTLs become, is the
// caller's business, and so are counters.
//
// No lock, and nothing to wait for: what another worker writes or has left half done is a miss. A reader copies an
// entry and judges only the copy, so a process that writes wildly can spoil answers, which it could do to its own
// clients anyway, but not the memory of others.
#pragma once

#include "base/bytes.hpp"
#include "cache/cache_entry.hpp"
#include "cache/cache_index.hpp"
#include "cache/cache_key.hpp"
#include "cache/cache_memory.hpp"
#include "cache/segment_log.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace dotrelay {

using TtlOffsets = std::array<std::uint16_t, kMaxCachedTtls>;

/// What find() has found.
struct CachedAnswer {
  std::size_t size = 0;  ///< of the message; 0: nothing was found
  std::uint32_t age_seconds = 0;
  std::uint32_t lifetime_seconds = 0;
  std::uint8_t kind = 0;  ///< as it was put
  std::uint8_t ttl_count = 0;
  /// The first `ttl_count` are places of TTLs, each with its four octets within the message.
  TtlOffsets ttl_offsets;

  explicit operator bool() const { return size > 0; }
  [[nodiscard]] bool fresh() const { return age_seconds < lifetime_seconds; }
  [[nodiscard]] std::span<const std::uint16_t> ttls() const { return std::span(ttl_offsets).first(ttl_count); }
};

enum class PutResult : std::uint8_t {
  kept,
  too_large,         ///< more than kMaxCachedMessage octets
  too_many_records,  ///< more than kMaxCachedTtls TTLs
  no_segment,        ///< every segment is being written: more workers than the memory has segments for
};

class AnswerCache {
 public:
  /// A buffer for find() has so many octets.
  static constexpr std::size_t kBuffer = kMaxCachedMessage;

  /// `worker`: from 1; no other process that writes the same memory has the number, also none of another generation.
  /// `stale_for_seconds`: for how long after its end an answer is still found.
  AnswerCache(const CacheMemory& memory, std::uint32_t worker, std::uint32_t stale_for_seconds);

  /// For find(), put() and claim_refresh() of one key.
  [[nodiscard]] std::uint64_t hash(const CacheKey& key) const { return hash_of(key, memory_.hash_key()); }

  /// Copies the answer to the front of `buffer`, which has kBuffer octets, and marks it as asked for, so that it stays
  /// longer. Its question is the key's, in the spelling of the query that it was fetched for; its ID and its TTLs are
  /// as they were put. The buffer's octets are anything when nothing was found. `now`: seconds of CLOCK_BOOTTIME, which
  /// may begin again at 0 after the largest number.
  [[nodiscard]] CachedAnswer find(const CacheKey& key, std::uint64_t hash, std::uint32_t now,
                                  MutableBytes buffer) const;

  /// Whether this worker is the one that refreshes the answer. No other is told so for that time; then it may be
  /// claimed again, since the worker may have died.
  [[nodiscard]] bool claim_refresh(std::uint64_t hash, std::uint32_t now, int for_seconds) const {
    return index_.claim(hash, now, for_seconds);
  }

  /// Keeps a copy in place of what was kept for the key. The message has the key's question as its only one.
  PutResult put(const CacheKey& key, std::uint64_t hash, const NewAnswer& answer, std::uint32_t now);

 private:
  /// Copies the entry at a word of the log. Nothing when it is not the hash's, or changes while it is read.
  [[nodiscard]] std::optional<EntryHeader> read(std::uint32_t log_word, std::uint64_t hash, TtlOffsets& ttl_offsets,
                                                MutableBytes buffer) const;

  CacheMemory memory_;
  CacheIndex index_;
  SegmentLog log_;
  std::uint32_t stale_for_seconds_;
};

}  // namespace dotrelay
