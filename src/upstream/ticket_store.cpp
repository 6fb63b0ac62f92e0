// See ticket_store.hpp.
#include "upstream/ticket_store.hpp"

#include <array>
#include <cstring>

namespace dotrelay {
namespace {

/// A copy of a ticket on its way, which leaves nothing behind.
struct Passage {
  std::array<std::uint8_t, TicketPool::kMaxTicketBytes> octets;
  ~Passage() { explicit_bzero(octets.data(), octets.size()); }
};

}  // namespace

void TicketStore::add(const TlsTicket& ticket) {
  Passage passage;
  pool_.put(Bytes(passage.octets).first(ticket.serialize(passage.octets)), worker_);
}

std::optional<TlsTicket> TicketStore::take(std::int64_t wall_time) {
  if (!wanted_) return std::nullopt;
  Passage passage;
  // A ticket that is no good for us is good for no other worker for long: certificates end, and workers with other
  // authorities are on their way out.
  for (std::size_t i = 0; i < TicketPool::kSlots; ++i) {
    const std::size_t size = pool_.take(passage.octets, worker_);
    if (size == 0) break;
    std::optional<TlsTicket> ticket = TlsTicket::parse(Bytes(passage.octets).first(size), context_);
    if (ticket && ticket->usable_at(wall_time)) return ticket;
  }
  return std::nullopt;
}

void TicketStore::drop_all() {
  Passage passage;
  for (std::size_t i = 0; i < TicketPool::kSlots && pool_.take(passage.octets, worker_) > 0; ++i) {
  }
}

}  // namespace dotrelay
