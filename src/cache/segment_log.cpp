// See segment_log.hpp.
#include "cache/segment_log.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>

namespace dotrelay {
namespace {

/// How much of a segment may be taken by what stays, if an entry of this kind is to be the last of it; 0: it goes. What
/// was not asked for stays while there is little else: much of a quiet log has ended or was replaced, and it would be a
/// pity if that took a rare name with a long TTL along. What has ended is kept for bad times only. The shares are those
/// with which tests/hit_ratio answers most.
std::uint32_t most_kept(bool asked_for, bool fresh, std::uint32_t segment_words) {
  if (!fresh) return asked_for ? segment_words / 8 : 0;
  if (!asked_for) return segment_words / 4;
  // The largest entry fits behind it, so that each segment that is opened has room for any.
  return std::min(segment_words / 2, segment_words - kMaxEntryWords);
}

EntryHeader header_for(const CacheKey& key, std::uint64_t hash, const NewAnswer& answer, std::uint32_t now) {
  return {
      .commit = 0,
      .hash_low = static_cast<std::uint32_t>(hash),
      .hash_high = static_cast<std::uint32_t>(hash >> 32),
      .stored_at = now,
      .lifetime_seconds = answer.lifetime_seconds,
      .message_size = static_cast<std::uint16_t>(answer.message.size()),
      .ttl_count = static_cast<std::uint16_t>(answer.ttl_offsets.size()),
      .zone = key.zone,
      .flags = key.flags,
      .kind = answer.kind,
  };
}

}  // namespace

bool SegmentLog::append(const CacheKey& key, std::uint64_t hash, const NewAnswer& answer, std::uint32_t now) {
  const EntryHeader header = header_for(key, hash, answer, now);
  assert(header.plausible());
  const std::uint32_t words = header.words();
  const bool fits = segment_ != kNone && words <= memory_.layout().segment_words - used_words_;
  if (!fits && !open_segment(now)) return false;

  const std::uint32_t at = memory_.layout().first_word_of(segment_) + used_words_;
  used_words_ += words;
  SharedWord* const entry = memory_.log(at);
  const std::uint32_t commit = header.hash_low ^ stamp_;
  write_header(header, entry);
  const auto* const offsets = reinterpret_cast<const std::uint8_t*>(answer.ttl_offsets.data());
  copy_in({offsets, answer.ttl_offsets.size_bytes()}, entry + EntryHeader::kWords);
  copy_in(answer.message, entry + header.message_at());
  entry->store(commit, std::memory_order_release);
  index_.lead(hash, at);
  return true;
}

bool SegmentLog::open_segment(std::uint32_t now) {
  if (segment_ != kNone) memory_.owner(segment_).store(0, std::memory_order_release);
  segment_ = kNone;
  for (std::uint32_t tries = 0; tries < memory_.layout().segments; ++tries) {
    const std::uint32_t oldest = memory_.cursor().fetch_add(1, std::memory_order_relaxed) % memory_.layout().segments;
    std::uint32_t none = 0;
    if (!memory_.owner(oldest).compare_exchange_strong(none, worker_, std::memory_order_acquire)) continue;
    renew(oldest, now);
    return true;
  }
  return false;
}

void SegmentLog::renew(std::uint32_t segment, std::uint32_t now) {
  SharedWord& generation = memory_.generation(segment);
  SharedWord& epoch = memory_.segment_epoch(segment);
  const Life old{generation.load(std::memory_order_relaxed), epoch.load(std::memory_order_relaxed)};
  const std::uint32_t passing = (old.generation + 1) | 1;
  generation.store(passing, std::memory_order_relaxed);
  // A reader that has seen a word of the next life must see that this one has ended: see AnswerCache::read.
  std::atomic_thread_fence(std::memory_order_release);
  segment_ = segment;
  stamp_ = stamp_of(passing + 1, memory_.epoch());
  used_words_ = keep_entries(segment, old, now);
  epoch.store(memory_.epoch(), std::memory_order_relaxed);
  generation.store(passing + 1, std::memory_order_release);
}

std::uint32_t SegmentLog::keep_entries(std::uint32_t segment, Life old, std::uint32_t now) {
  const std::uint32_t size = memory_.layout().segment_words;
  const std::uint32_t begin = memory_.layout().first_word_of(segment);
  const std::uint32_t old_stamp = stamp_of(old.generation, old.epoch);
  std::uint32_t kept = 0;
  std::uint32_t words = 0;
  for (std::uint32_t at = 0; size - at >= CacheLayout::kLeastEntryWords; at += words) {
    const EntryHeader header = read_header(memory_.log(begin + at));
    words = header.words();
    if (!header.committed(old_stamp) || !header.plausible() || words > size - at) break;
    const Slot slot = index_.slot_of(header.hash(), begin + at);
    const bool stays = slot.word != nullptr && old.epoch == memory_.epoch() && header.useful(now, stale_for_seconds_);
    if (!stays || kept + words > most_kept(slot.asked_for, header.useful(now, 0), size)) {
      index_.forget(slot);
    } else if (index_.move(slot, header.hash(), begin + kept)) {
      move_down(memory_.log(begin + at), memory_.log(begin + kept), words);
      memory_.log(begin + kept)->store(header.hash_low ^ stamp_, std::memory_order_relaxed);
      kept += words;
    }
  }
  return kept;
}

}  // namespace dotrelay
