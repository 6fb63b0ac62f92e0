// See ticket_pool.hpp. The life of a slot: empty -> writing -> full -> taking -> empty, or full -> writing when the
// oldest ticket is replaced. Only a full slot's word is unique, for a thousand million tickets; so only from there may
// a late compare-exchange not succeed on another ticket, and from empty it does not matter which emptiness it was.
#include "upstream/ticket_pool.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace dotrelay {
namespace {

enum class Phase : std::uint8_t { empty, writing, full, taking };

// Two bits of phase; the others are the number of the ticket in a full slot, the worker in one that is held.
constexpr int kShift = 2;
constexpr std::uint32_t kEmpty = 0;

/// Other workers may change the slots between a look and a step. A worker that loses so often has lost to tickets newer
/// than its own.
constexpr int kMaxTries = 16;

constexpr std::uint32_t word(Phase phase, std::uint32_t value) {
  return static_cast<std::uint32_t>(phase) | value << kShift;
}
constexpr Phase phase_of(std::uint32_t state) { return static_cast<Phase>(state & 3); }
constexpr std::uint32_t worker_of(std::uint32_t state) { return state >> kShift; }

/// Of two full slots; the numbers begin again after the largest.
constexpr bool is_older(std::uint32_t left, std::uint32_t right) { return static_cast<std::int32_t>(left - right) < 0; }

}  // namespace

void TicketPool::wipe(Slot& slot) {
  explicit_bzero(slot.octets.data(), slot.octets.size());
  slot.size = 0;
}

TicketPool::Slot* TicketPool::claim_for_writing(std::uint32_t claim) {
  for (int i = 0; i < kMaxTries; ++i) {
    Slot* best = nullptr;
    std::uint32_t best_state = 0;
    for (Slot& slot : slots_) {
      const std::uint32_t state = slot.state.load(std::memory_order_relaxed);
      const bool full = phase_of(state) == Phase::full;
      if (!full && state != kEmpty) continue;
      if (best != nullptr && full && !is_older(state, best_state)) continue;
      best = &slot;
      best_state = state;
      if (!full) break;
    }
    if (best == nullptr) return nullptr;
    if (best->state.compare_exchange_strong(best_state, claim, std::memory_order_acquire)) return best;
  }
  return nullptr;
}

void TicketPool::put(Bytes ticket, std::uint32_t worker) {
  assert(worker != 0);
  if (ticket.empty() || ticket.size() > kMaxTicketBytes) return;
  const std::uint32_t number = last_ticket_.fetch_add(1, std::memory_order_relaxed) + 1;
  Slot* const slot = claim_for_writing(word(Phase::writing, worker));
  if (slot == nullptr) return;
  wipe(*slot);
  std::ranges::copy(ticket, slot->octets.begin());
  slot->size = static_cast<std::uint32_t>(ticket.size());
  slot->state.store(word(Phase::full, number), std::memory_order_release);
}

std::size_t TicketPool::take(MutableBytes buffer, std::uint32_t worker) {
  assert(worker != 0 && buffer.size() >= kMaxTicketBytes);
  for (int i = 0; i < kMaxTries; ++i) {
    Slot* newest = nullptr;
    std::uint32_t state = 0;
    for (Slot& slot : slots_) {
      const std::uint32_t seen = slot.state.load(std::memory_order_relaxed);
      if (phase_of(seen) != Phase::full || (newest != nullptr && is_older(seen, state))) continue;
      newest = &slot;
      state = seen;
    }
    if (newest == nullptr) return 0;
    if (!newest->state.compare_exchange_strong(state, word(Phase::taking, worker), std::memory_order_acquire)) {
      continue;
    }
    const std::size_t size = std::min<std::size_t>(newest->size, kMaxTicketBytes);
    std::copy_n(newest->octets.begin(), size, buffer.begin());
    wipe(*newest);
    newest->state.store(kEmpty, std::memory_order_release);
    if (size > 0) return size;
  }
  return 0;
}

void TicketPool::release_slots_of(std::uint32_t worker) {
  for (Slot& slot : slots_) {
    const std::uint32_t state = slot.state.load(std::memory_order_acquire);
    const bool held = phase_of(state) == Phase::writing || phase_of(state) == Phase::taking;
    if (!held || worker_of(state) != worker) continue;
    wipe(slot);
    slot.state.store(kEmpty, std::memory_order_release);
  }
}

}  // namespace dotrelay
