// See pending_queries.hpp.
#include "relay/pending_queries.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {
namespace {

/// Enough that few IDs come twice in a row of a few queries.
constexpr std::size_t kFirstSlots = 256;

/// The inverse of an odd number modulo 65,536, by Newton's iteration: each step doubles the bits that are right, and an
/// odd number is its own inverse in the lowest three.
std::uint16_t inverse_of(std::uint16_t odd) {
  std::uint32_t inverse = odd;
  for (int step = 0; step < 3; ++step) inverse *= 2U - odd * inverse;
  return static_cast<std::uint16_t>(inverse);
}

}  // namespace

PendingQueries::PendingQueries(Random& random)
    : random_(random),
      multiplier_(static_cast<std::uint16_t>(random.u32() | 1U)),
      inverse_(inverse_of(multiplier_)),
      offset_(static_cast<std::uint16_t>(random.u32())) {}

std::uint16_t PendingQueries::id_of(std::size_t slot) const {
  return static_cast<std::uint16_t>(slot * multiplier_ + offset_);
}

std::size_t PendingQueries::slot_of(std::uint16_t id) const {
  return static_cast<std::uint16_t>(std::uint32_t{static_cast<std::uint16_t>(id - offset_)} * inverse_);
}

// Doubling keeps at least half of the slots free after each growth, so that a drawn ID was hardly ever used just
// before.
void PendingQueries::grow() {
  const std::size_t old_size = slots_.size();
  const std::size_t new_size = std::max<std::size_t>(kFirstSlots, old_size * 2);
  assert(new_size <= 65536);
  slots_.resize(new_size);
  for (std::size_t slot = old_size; slot < new_size; ++slot) free_.push_back(static_cast<std::uint16_t>(slot));
}

[[gnu::always_inline]] inline std::uint16_t PendingQueries::reserve(Entry::Holder holder, std::uint32_t index,
                                                                    std::uint32_t serial, std::uint64_t question_hash,
                                                                    TimePoint sent_at) {
  assert(!full());
  if (free_.size() <= slots_.size() / 4) grow();
  const std::size_t drawn = random_.below(static_cast<std::uint32_t>(free_.size()));
  std::swap(free_[drawn], free_.back());
  const std::uint16_t slot = free_.back();
  free_.pop_back();
  Entry& taken = slots_[slot];
  taken.question_hash = question_hash;
  taken.sent_at = sent_at;
  taken.index_ = index;
  taken.serial_ = serial;
  taken.holder_ = holder;
  ++live_;
  return id_of(slot);
}

std::uint16_t PendingQueries::add(QueryHandle query, std::uint64_t question_hash, TimePoint sent_at) {
  return reserve(Entry::Holder::query, query.index, query.serial, question_hash, sent_at);
}

std::uint16_t PendingQueries::add_guest(GuestHandle guest, std::uint64_t question_hash, TimePoint sent_at) {
  return reserve(Entry::Holder::guest, guest.index, guest.serial, question_hash, sent_at);
}

const PendingQueries::Entry* PendingQueries::find(std::uint16_t id) const {
  const std::size_t slot = slot_of(id);
  if (slot >= slots_.size() || slots_[slot].holder_ == Entry::Holder::none) return nullptr;
  return &slots_[slot];
}

void PendingQueries::remove(std::uint16_t id) {
  const std::size_t slot = slot_of(id);
  assert(slot < slots_.size() && slots_[slot].holder_ != Entry::Holder::none);
  --(slots_[slot].live() ? live_ : abandoned_);
  slots_[slot].holder_ = Entry::Holder::none;
  free_.push_back(static_cast<std::uint16_t>(slot));
}

void PendingQueries::abandon(std::uint16_t id) {
  Entry& entry = slots_[slot_of(id)];
  assert(entry.live());
  entry.holder_ = Entry::Holder::given_up;
  --live_;
  ++abandoned_;
}

std::vector<QueryHandle> PendingQueries::live_queries() const {
  std::vector<QueryHandle> queries;
  queries.reserve(live_);
  for (const Entry& entry : slots_) {
    if (const QueryHandle query = entry.query()) queries.push_back(query);
  }
  return queries;
}

std::vector<QueryHandle> PendingQueries::take_all() {
  std::vector<QueryHandle> queries = live_queries();
  slots_.clear();
  free_.clear();
  live_ = 0;
  abandoned_ = 0;
  return queries;
}

}  // namespace dotrelay
