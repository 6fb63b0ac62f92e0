// See ticket_pool.hpp. The life of a slot: empty -> writing -> full -> taking -> empty, or full -> writing when the
// oldest ticket is replaced. Only a full slot's word is unique for ever; so only from there may a late compare-exchange
// not succeed on another ticket, and from empty it does not matter which emptiness it was.
#include "upstream/ticket_pool.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace dotrelay {
namespace {

enum class Phase : std::uint8_t { empty, writing, full, taking };

// Two bits of phase, 16 of the worker, 46 of the ticket's number.
constexpr int kWorkerShift = 2;
constexpr int kTicketShift = 18;
constexpr std::uint64_t kEmpty = 0;

/// Others may change the slots between a look and a step. Whoever loses so often has lost to tickets newer than its
/// own.
constexpr int kMaxTries = 16;

constexpr std::uint64_t word(Phase phase, std::uint32_t worker, std::uint64_t ticket) {
  return static_cast<std::uint64_t>(phase) | std::uint64_t{worker & 0xffff} << kWorkerShift | ticket << kTicketShift;
}
constexpr Phase phase_of(std::uint64_t state) { return static_cast<Phase>(state & 3); }
constexpr std::uint32_t worker_of(std::uint64_t state) { return state >> kWorkerShift & 0xffff; }
constexpr std::uint64_t ticket_of(std::uint64_t state) { return state >> kTicketShift; }

}  // namespace

void TicketPool::wipe(Slot& slot) {
  explicit_bzero(slot.octets.data(), slot.octets.size());
  slot.size = 0;
}

TicketPool::Slot* TicketPool::claim_for_writing(std::uint64_t claim) {
  for (int i = 0; i < kMaxTries; ++i) {
    Slot* best = nullptr;
    std::uint64_t best_state = UINT64_MAX;
    for (Slot& slot : slots_) {
      const std::uint64_t state = slot.state.load(std::memory_order_relaxed);
      if (phase_of(state) != Phase::empty && phase_of(state) != Phase::full) continue;
      if (best != nullptr && ticket_of(state) >= ticket_of(best_state)) continue;  // an empty slot has number 0
      best = &slot;
      best_state = state;
    }
    if (best == nullptr) return nullptr;
    if (best->state.compare_exchange_strong(best_state, claim, std::memory_order_acquire)) return best;
  }
  return nullptr;
}

void TicketPool::put(Bytes ticket, std::uint32_t worker) {
  assert(worker != 0);
  if (ticket.empty() || ticket.size() > kMaxTicketBytes) return;
  const std::uint64_t number = last_ticket_.fetch_add(1, std::memory_order_relaxed) + 1;
  Slot* const slot = claim_for_writing(word(Phase::writing, worker, number));
  if (slot == nullptr) return;
  wipe(*slot);
  std::ranges::copy(ticket, slot->octets.begin());
  slot->size = static_cast<std::uint32_t>(ticket.size());
  slot->state.store(word(Phase::full, 0, number), std::memory_order_release);
}

std::size_t TicketPool::take(MutableBytes buffer, std::uint32_t worker) {
  assert(worker != 0 && buffer.size() >= kMaxTicketBytes);
  for (int i = 0; i < kMaxTries; ++i) {
    Slot* newest = nullptr;
    std::uint64_t state = 0;
    for (Slot& slot : slots_) {
      const std::uint64_t seen = slot.state.load(std::memory_order_relaxed);
      if (phase_of(seen) != Phase::full || (newest != nullptr && ticket_of(seen) < ticket_of(state))) continue;
      newest = &slot;
      state = seen;
    }
    if (newest == nullptr) return 0;
    if (!newest->state.compare_exchange_strong(state, word(Phase::taking, worker, ticket_of(state)),
                                               std::memory_order_acquire)) {
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
    const std::uint64_t state = slot.state.load(std::memory_order_acquire);
    const bool held = phase_of(state) == Phase::writing || phase_of(state) == Phase::taking;
    if (!held || worker_of(state) != worker) continue;
    wipe(slot);
    slot.state.store(kEmpty, std::memory_order_release);
  }
}

}  // namespace dotrelay
