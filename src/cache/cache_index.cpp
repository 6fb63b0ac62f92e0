// See cache_index.hpp.
#include "cache/cache_index.hpp"

#include "cache/cache_entry.hpp"

namespace dotrelay {

bool CacheIndex::leads_to(std::uint32_t slot, std::uint64_t hash) const {
  const auto at = log_word(slot, hash);
  if (!at) return false;
  const std::uint32_t generation = memory_.generation(memory_.layout().segment_of(*at)).load(std::memory_order_relaxed);
  const std::uint32_t commit = memory_.log(*at)->load(std::memory_order_relaxed);
  return commit == (static_cast<std::uint32_t>(hash) ^ stamp_of(generation, memory_.epoch()));
}

void CacheIndex::lead(std::uint64_t hash, std::uint32_t log_word) {
  SharedWord* const bucket = memory_.bucket(hash);
  SharedWord* same = nullptr;
  SharedWord* empty = nullptr;
  SharedWord* unasked = nullptr;
  turn_ = (turn_ + 1) % kSlots;
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    SharedWord& slot = bucket[(turn_ + i) % kSlots];
    std::uint32_t seen = slot.load(std::memory_order_relaxed);
    if (seen == 0) {
      if (empty == nullptr) empty = &slot;
    } else if (leads_to(seen, hash)) {
      // Two workers that put the same question at the same time may leave it two slots.
      if (same == nullptr) {
        same = &slot;
      } else {
        slot.compare_exchange_strong(seen, 0, std::memory_order_relaxed);
      }
    } else if (unasked == nullptr && (seen & hits_mask_) == 0) {
      unasked = &slot;
    }
  }
  SharedWord* chosen = &bucket[turn_];
  for (SharedWord* const better : {unasked, empty, same}) {
    if (better != nullptr) chosen = better;
  }
  chosen->store(slot_word(hash, log_word), std::memory_order_relaxed);
}

Slot CacheIndex::slot_of(std::uint64_t hash, std::uint32_t log_word) const {
  SharedWord* const bucket = memory_.bucket(hash);
  const std::uint32_t wanted = slot_word(hash, log_word);
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const std::uint32_t seen = bucket[i].load(std::memory_order_relaxed);
    if ((seen & ~hits_mask_) == wanted) return {&bucket[i], seen, (seen & hits_mask_) != 0};
  }
  return {};
}

void CacheIndex::forget(Slot slot) const {
  if (slot.word != nullptr) slot.word->compare_exchange_strong(slot.seen, 0, std::memory_order_relaxed);
}

bool CacheIndex::move(Slot slot, std::uint64_t hash, std::uint32_t log_word) const {
  const std::uint32_t hits = slot.asked_for ? (slot.seen & hits_mask_) - one_hit_ : 0;
  return slot.word->compare_exchange_strong(slot.seen, slot_word(hash, log_word) | hits, std::memory_order_relaxed);
}

bool CacheIndex::claim(std::uint64_t hash, std::uint32_t now, int for_seconds) const {
  SharedWord& word = memory_.bucket(hash)[kSlots];
  std::uint32_t seen = word.load(std::memory_order_relaxed);
  const std::uint32_t mine = static_cast<std::uint32_t>(hash) << 16 | (now & 0xffff);
  const bool same = seen != 0 && (seen ^ mine) >> 16 == 0;
  // Less than 0 where the other worker has read the clock a moment later.
  const int since = static_cast<std::int16_t>(mine - seen);
  if (same && since > -for_seconds && since < for_seconds) return false;
  return word.compare_exchange_strong(seen, mine, std::memory_order_relaxed);
}

}  // namespace dotrelay
