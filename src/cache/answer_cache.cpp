// See answer_cache.hpp.
#include "cache/answer_cache.hpp"

#include "dns/ttl_fields.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>

namespace dotrelay {
namespace {

/// Whether the message has one question, and it is the key's. The key's name is well-formed, so a message with the same
/// octets in its place has a well-formed name there too.
bool asks(Bytes message, const dns::Question& question) {
  const std::size_t name_size = question.name.size();
  if (message.size() < dns::kHeaderSize + question.wire_size() || load_u16(&message[4]) != 1) return false;
  const std::uint8_t* const behind = &message[dns::kHeaderSize + name_size];
  return load_u16(behind) == question.type && load_u16(behind + 2) == question.klass &&
         dns::same_name(message.subspan(dns::kHeaderSize, name_size), question.name);
}

bool belongs(const EntryHeader& header, const CacheKey& key, Bytes message) {
  return header.zone == key.zone && header.flags == key.flags && asks(message, key.question);
}

bool within(std::span<const std::uint16_t> ttl_offsets, std::size_t size) {
  return std::ranges::all_of(ttl_offsets, [&](std::uint16_t offset) { return offset + dns::kTtlSize <= size; });
}

}  // namespace

AnswerCache::AnswerCache(const CacheMemory& memory, std::uint32_t worker, std::uint32_t stale_for_seconds)
    : memory_(memory), index_(memory), log_(memory, worker, stale_for_seconds), stale_for_seconds_(stale_for_seconds) {
  assert(worker != 0);
}

CachedAnswer AnswerCache::find(const CacheKey& key, std::uint64_t hash, std::uint32_t now, MutableBytes buffer) const {
  assert(buffer.size() >= kBuffer);
  CachedAnswer answer;
  SharedWord* const bucket = memory_.bucket(hash);
  for (std::uint32_t i = 0; i < CacheIndex::kSlots; ++i) {
    const std::uint32_t slot = bucket[i].load(std::memory_order_relaxed);
    const auto log_word = index_.log_word(slot, hash);
    if (!log_word) continue;
    const auto header = read(*log_word, hash, answer.ttl_offsets, buffer);
    if (!header || !belongs(*header, key, buffer.first(header->message_size))) continue;
    if (!header->useful(now, stale_for_seconds_)) break;
    index_.count_hit(bucket[i], slot);
    answer.size = header->message_size;
    answer.age_seconds = header->age(now);
    answer.lifetime_seconds = header->lifetime_seconds;
    answer.kind = header->kind;
    answer.ttl_count = static_cast<std::uint8_t>(header->ttl_count);
    break;
  }
  return answer;
}

std::optional<EntryHeader> AnswerCache::read(std::uint32_t log_word, std::uint64_t hash, TtlOffsets& ttl_offsets,
                                             MutableBytes buffer) const {
  const CacheLayout& layout = memory_.layout();
  const SharedWord& generation = memory_.generation(layout.segment_of(log_word));
  const SharedWord* const entry = memory_.log(log_word);
  const std::uint32_t before = generation.load(std::memory_order_acquire);
  const std::uint32_t commit = static_cast<std::uint32_t>(hash) ^ stamp_of(before, memory_.epoch());
  if (before % 2 != 0) return std::nullopt;
  if (entry->load(std::memory_order_acquire) != commit) return std::nullopt;

  const EntryHeader header = read_header(entry);
  if (!header.plausible() || header.words() > layout.words_left(log_word)) return std::nullopt;
  const auto offsets = std::span(ttl_offsets).first(header.ttl_count);
  copy_out(entry + EntryHeader::kWords, {reinterpret_cast<std::uint8_t*>(offsets.data()), offsets.size_bytes()});
  copy_out(entry + header.message_at(), buffer.first(header.message_size));

  // The copy is of one life of the segment only if that has not ended: see SegmentLog::renew.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (generation.load(std::memory_order_relaxed) != before) return std::nullopt;
  if (!within(offsets, header.message_size)) return std::nullopt;
  return header;
}

PutResult AnswerCache::put(const CacheKey& key, std::uint64_t hash, const NewAnswer& answer, std::uint32_t now) {
  assert(asks(answer.message, key.question));
  if (answer.message.size() > kMaxCachedMessage) return PutResult::too_large;
  if (answer.ttl_offsets.size() > kMaxCachedTtls) return PutResult::too_many_records;
  return log_.append(key, hash, answer, now) ? PutResult::kept : PutResult::no_segment;
}

}  // namespace dotrelay
