// See memory_budget.hpp.
#include "relay/memory_budget.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

MemoryBudget::MemoryBudget(std::span<SharedWord> held, std::size_t own, std::uint32_t chunks)
    : held_(held),
      own_(own),
      chunks_(chunks),
      own_part_(chunks / 2 / static_cast<std::uint32_t>(held.size())),
      kept_for_answers_(own_part_ * kChunkBytes / 4),
      kept_for_others_(kept_for_answers_),
      roomy_until_(own_part_ * kChunkBytes - kept_for_answers_ - kept_for_others_) {
  assert(own < held.size() && own_part_ > 0);
}

MemoryBudget::~MemoryBudget() { held_[own_].store(0); }

bool MemoryBudget::make_room(std::size_t octets, std::size_t beside) {
  const std::size_t chunks = (used_ + octets + beside + kChunkBytes - 1) / kChunkBytes;
  while (!fits(octets, beside) && !draw(chunks)) {
    if (holder_ == nullptr || !holder_->shed(octets)) return false;
  }
  return true;
}

void MemoryBudget::draw_less() { draw((used_ + kept_for_answers_) / kChunkBytes + 1); }

// The word says first what is to be held, and takes it back if all of them together are too much then: of two workers
// that draw the last chunk at once both may fail, but never do both succeed.
bool MemoryBudget::draw(std::size_t chunks) {
  const auto before = static_cast<std::uint32_t>(held_bytes_ / kChunkBytes);
  if (chunks > chunks_) return false;
  held_[own_].store(static_cast<std::uint32_t>(chunks));
  if (chunks > before && chunks > own_part_) {
    std::uint64_t common = 0;
    for (const SharedWord& word : held_) {
      const std::uint32_t held = std::min(word.load(), chunks_);  // a worker that writes wildly is one that has all
      common += held > own_part_ ? held - own_part_ : 0;
    }
    if (common > chunks_ - std::uint64_t{own_part_} * held_.size()) {
      held_[own_].store(before);
      return false;
    }
  }
  held_bytes_ = chunks * kChunkBytes;
  return true;
}

bool MemoryBudget::flood_is_over() {
  if (most_used_ < kFloodBytes || used_ > most_used_ / 4) return false;
  most_used_ = used_;
  return true;
}

}  // namespace dotrelay
