// The session tickets that a worker may use for one upstream address: those of the pool that all workers share, as far
// as they were made for the same name, authorities and pins, and no certificate that was checked has expired. Each is
// used once, so that two connections cannot be linked by it (RFC 8446 C.4).
#pragma once

#include "tls/tls_ticket.hpp"
#include "upstream/ticket_pool.hpp"

#include <optional>

namespace dotrelay {

class TicketStore {
 public:
  /// The pool and the context outlive the store. `worker` is this worker's number, from 1.
  TicketStore(TicketPool& pool, std::uint32_t worker, const TlsClientContext& context)
      : pool_(pool), worker_(worker), context_(context) {}

  void add(const TlsTicket& ticket);

  /// The server's tickets cannot be read: it is not asked for any more as long as this worker lives.
  void do_without() { wanted_ = false; }
  [[nodiscard]] bool wanted() const { return wanted_; }

  /// The newest ticket that is still good. `wall_time` in seconds since 1970.
  std::optional<TlsTicket> take(std::int64_t wall_time);

  /// Throws away all tickets of the address, for all workers: its server does not take them.
  [[gnu::cold]] void drop_all();

 private:
  TicketPool& pool_;
  std::uint32_t worker_;
  const TlsClientContext& context_;
  bool wanted_ = true;
};

}  // namespace dotrelay
