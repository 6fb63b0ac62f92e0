// The session tickets of one upstream address. Each is used once, so that two connections cannot be linked by it (RFC
// 8446 C.4), and none after a certificate that was checked for it has expired.
#pragma once

#include "net/tls_session.hpp"

#include <ctime>
#include <optional>
#include <utility>
#include <vector>

namespace dotrelay {

class TicketStore {
 public:
  /// Servers send one to four at a time.
  static constexpr std::size_t kMaxTickets = 4;

  void add(TlsTicket ticket) {
    if (tickets_.size() == kMaxTickets) tickets_.erase(tickets_.begin());
    tickets_.push_back(std::move(ticket));
  }

  /// The newest ticket that is still good. `wall_time` in seconds since 1970.
  std::optional<TlsTicket> take(std::int64_t wall_time) {
    while (!tickets_.empty()) {
      TlsTicket ticket = std::move(tickets_.back());
      tickets_.pop_back();
      if (ticket.usable_at(wall_time)) return ticket;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::size_t size() const { return tickets_.size(); }

 private:
  std::vector<TlsTicket> tickets_;
};

}  // namespace dotrelay
