// Makes the connections that the forwarder asks for: knows each upstream's addresses, and for those over TLS the
// context and the tickets.
#pragma once

#include "config/config.hpp"
#include "metrics/counters.hpp"
#include "net/loop.hpp"
#include "relay/connection.hpp"
#include "tls/tls_client_context.hpp"
#include "upstream/authorities.hpp"
#include "upstream/ticket_store.hpp"

#include <memory>
#include <span>
#include <vector>

namespace dotrelay {

class UpstreamDialer final : public Dialer {
 public:
  /// The tickets of all workers.
  struct Tickets {
    std::span<TicketPool> pools;  ///< one for each address of the configuration, in its order
    std::uint32_t worker;         ///< the number of this worker, from 1
  };

  /// The references outlive the dialer.
  UpstreamDialer(const Config& config, const Authorities& authorities, Loop& loop, Counters& counters,
                 const Tickets& tickets);

  /// What hears from the connections. Once, before the first dial().
  void report_to(ConnectionEvents& events) { events_ = &events; }

  std::unique_ptr<Connection> dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                   std::uint16_t segment_limit) override;
  std::uint32_t way_to(std::size_t upstream, std::size_t address) override;

 private:
  struct Target {
    std::unique_ptr<TlsClientContext> tls;  ///< none in plain text
    std::vector<TicketStore> tickets;       ///< by address
  };

  const Config& config_;
  Loop& loop_;
  Counters& counters_;
  ConnectionEvents* events_ = nullptr;
  std::vector<Target> targets_;
};

}  // namespace dotrelay
