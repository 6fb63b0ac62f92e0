// An entry of the cache's log: a header, the places of the TTLs in the message as 16-bit numbers, and the message. Its
// first word, `commit`, is written last: it ties the entry's hash to the life of its segment. A half-written entry and
// one of an earlier life have a word there that does not fit, and so are none.
#pragma once

#include "base/bytes.hpp"
#include "cache/cache_key.hpp"
#include "cache/cache_layout.hpp"
#include "cache/shared_copy.hpp"
#include "dns/constants.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace dotrelay {

inline constexpr std::size_t kMaxCachedMessage = 4096;
/// The priming answer of the root zone with its signatures has 40 records; more than 64 in 4 KiB are hardly ever seen.
inline constexpr std::size_t kMaxCachedTtls = 64;

/// What is mixed into each commit word of a segment's life. The factor is 2^32 divided by the golden ratio, so that no
/// generation of one epoch comes near those of the next thousand.
constexpr std::uint32_t stamp_of(std::uint32_t generation, std::uint32_t epoch) {
  return generation + epoch * 0x9e3779b1U;
}

struct EntryHeader {
  std::uint32_t commit;  ///< hash_low ^ stamp_of() its segment's life
  std::uint32_t hash_low;
  std::uint32_t hash_high;
  std::uint32_t stored_at;  ///< seconds of CLOCK_BOOTTIME
  std::uint32_t lifetime_seconds;
  std::uint16_t message_size;
  std::uint16_t ttl_count;
  std::uint16_t zone;
  std::uint8_t flags;
  std::uint8_t kind;

  static constexpr std::uint32_t kWords = 7;
  /// A header, the name of the root, type and class.
  static constexpr std::size_t kMinMessage = dns::kHeaderSize + 5;

  [[nodiscard]] std::uint64_t hash() const { return std::uint64_t{hash_high} << 32 | hash_low; }
  [[nodiscard]] bool committed(std::uint32_t stamp) const { return (commit ^ hash_low) == stamp; }
  /// Whether the sizes are such that one could have been written.
  [[nodiscard]] bool plausible() const {
    return message_size >= kMinMessage && message_size <= kMaxCachedMessage && ttl_count <= kMaxCachedTtls;
  }

  /// Where the message begins, in words from the entry's beginning.
  [[nodiscard]] std::uint32_t message_at() const { return kWords + (ttl_count + 1U) / 2; }
  /// What the entry takes of the log.
  [[nodiscard]] std::uint32_t words() const {
    const std::uint32_t used = message_at() + (message_size + 3U) / 4;
    return (used + CacheLayout::kUnitWords - 1) / CacheLayout::kUnitWords * CacheLayout::kUnitWords;
  }

  /// Seconds since it was stored. 0 where another process's clock was read a moment later than `now`.
  [[nodiscard]] std::uint32_t age(std::uint32_t now) const {
    const std::uint32_t age = now - stored_at;
    return static_cast<std::int32_t>(age) < 0 ? 0 : age;
  }
  /// Whether it may still be given, at the latest `stale_for_seconds` after its end.
  [[nodiscard]] bool useful(std::uint32_t now, std::uint32_t stale_for_seconds) const {
    return age(now) < std::uint64_t{lifetime_seconds} + stale_for_seconds;
  }
};

using EntryHeaderWords = std::array<std::uint32_t, EntryHeader::kWords>;
static_assert(sizeof(EntryHeader) == sizeof(EntryHeaderWords));

static_assert(EntryHeader::kWords + (EntryHeader::kMinMessage + 3) / 4 == CacheLayout::kLeastEntryWords);

/// The largest that words() can be.
inline constexpr std::uint32_t kMaxEntryWords =
    (EntryHeader::kWords + (kMaxCachedTtls + 1) / 2 + kMaxCachedMessage / 4 + CacheLayout::kUnitWords - 1) /
    CacheLayout::kUnitWords * CacheLayout::kUnitWords;

/// Copies the header out of the log. Nothing in it can be trusted.
inline EntryHeader read_header(const SharedWord* entry) {
  EntryHeaderWords words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = entry[i].load(std::memory_order_relaxed);
  return std::bit_cast<EntryHeader>(words);
}

/// Writes everything but the commit word.
inline void write_header(const EntryHeader& header, SharedWord* entry) {
  const auto words = std::bit_cast<EntryHeaderWords>(header);
  for (std::size_t i = 1; i < words.size(); ++i) entry[i].store(words[i], std::memory_order_relaxed);
}

}  // namespace dotrelay
