// The cache's index: says where in the log the entry of a hash may stand. It is lossy and never the truth: a slot that
// is lost is a miss, and one that leads to another entry is found out there. A bucket is a cache line of 15 slots and
// one word for the claim of a refresh.
//
//   slot   0: empty; else tag (some bits of the hash), hits (2), number of the unit where the entry begins, from 1
//   claim  16 bits of the hash, 16 bits of the second
#pragma once

#include "base/shared_word.hpp"
#include "cache/cache_memory.hpp"

#include <cstdint>
#include <optional>

namespace dotrelay {

/// A slot of a bucket, as it was when it was looked at. `word` is null where there is none.
struct Slot {
  SharedWord* word = nullptr;
  std::uint32_t seen = 0;
  bool asked_for = false;  ///< since the entry was put or moved
};

class CacheIndex {
 public:
  static constexpr std::uint32_t kSlots = CacheLayout::kBucketWords - 1;

  explicit CacheIndex(const CacheMemory& memory)
      : memory_(memory),
        unit_mask_((std::uint32_t{1} << memory.layout().unit_bits) - 1),
        one_hit_(unit_mask_ + 1),
        hits_mask_(3 * one_hit_),
        units_(memory.layout().units()) {}

  /// The word of the log where the slot's entry begins; nothing when the slot is empty, has another tag than the hash,
  /// or leads out of the log.
  [[nodiscard]] std::optional<std::uint32_t> log_word(std::uint32_t slot, std::uint64_t hash) const {
    const std::uint32_t unit = (slot & unit_mask_) - 1;
    if (unit >= units_ || (slot & ~(unit_mask_ | hits_mask_)) != tag_of(hash)) return std::nullopt;
    return unit * CacheLayout::kUnitWords;
  }

  /// Notes that the entry was asked for. `seen`: what the slot held.
  /// Three are enough to tell the names that are asked for all the time from those that were twice.
  void count_hit(SharedWord& slot, std::uint32_t seen) const {
    if ((seen & hits_mask_) == hits_mask_) return;
    slot.compare_exchange_strong(seen, seen + one_hit_, std::memory_order_relaxed);
  }

  /// Leads the hash to the entry at `log_word`, in place of an older entry of the same hash. Where the bucket is full,
  /// another loses its slot, if possible one that was not asked for.
  void lead(std::uint64_t hash, std::uint32_t log_word);

  /// Which slot leads the hash to the entry at `log_word`.
  [[nodiscard]] Slot slot_of(std::uint64_t hash, std::uint32_t log_word) const;
  /// Empties it. Like move(), not if another process has changed it since it was looked at.
  void forget(Slot slot) const;
  /// Leads it to the place where the entry stands from now on, with one hit less. False when it was changed.
  [[nodiscard]] bool move(Slot slot, std::uint64_t hash, std::uint32_t log_word) const;

  /// See AnswerCache::claim_refresh.
  [[nodiscard]] bool claim(std::uint64_t hash, std::uint32_t now, int for_seconds) const;

 private:
  static constexpr int kHitBits = 2;

  /// What a slot holds that leads there, without hits.
  [[nodiscard]] std::uint32_t slot_word(std::uint64_t hash, std::uint32_t log_word) const {
    return tag_of(hash) | (log_word / CacheLayout::kUnitWords + 1);
  }
  /// Where it stands in a slot. The bucket is chosen by the bits at the upper end of the same half of the hash.
  [[nodiscard]] std::uint32_t tag_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash >> 32) << (memory_.layout().unit_bits + kHitBits);
  }
  /// Whether the slot leads to a living entry of this very hash.
  [[nodiscard]] bool leads_to(std::uint32_t slot, std::uint64_t hash) const;

  CacheMemory memory_;
  std::uint32_t unit_mask_;
  std::uint32_t one_hit_;
  std::uint32_t hits_mask_;
  std::uint32_t units_;
  std::uint32_t turn_ = 0;  ///< at which slot the search for one that may go begins
};

}  // namespace dotrelay
