// A connection to an upstream over TLS (RFC 7858). A handshake that fails with a ticket is begun again without one, at
// once and unseen from outside.
#pragma once

#include "metrics/counters.hpp"
#include "tls/tls_session.hpp"
#include "upstream/framed_connection.hpp"
#include "upstream/ticket_store.hpp"

#include <optional>
#include <string>

namespace dotrelay {

class DotConnection final : public FramedConnection {
 public:
  struct Environment {
    const TlsClientContext& tls;
    TicketStore& tickets;
    Counters& counters;
    std::size_t upstream;  ///< its number in the configuration
  };

  /// Begins to connect. What the environment refers to outlives the connection.
  DotConnection(const Wiring& wiring, const Way& way, const Environment& environment);
  ~DotConnection() override;

  [[nodiscard]] Duration handshake_silence(TimePoint now) override;
  [[nodiscard]] std::string description() const override { return session_->description(); }

 private:
  [[gnu::cold]] void on_connected() override;
  void take_octets(Bytes octets) override;
  void encode(ByteQueue& frames) override;
  ByteQueue& outgoing() override { return session_->outgoing(); }
  ByteQueue& incoming_frames() override { return session_->plaintext(); }
  [[gnu::cold]] void recover() override;

  void advance_session();
  void on_established();
  [[gnu::cold]] [[nodiscard]] bool ticket_may_be_why() const;

  Environment environment_;
  std::optional<TlsSession> session_;  ///< from the moment in which TCP is connected
  bool ticket_offered_ = false;        ///< in the handshake that is under way
  bool ticket_refused_ = false;        ///< by the handshake before
  TimePoint handshake_progress_{};     ///< the latest octets of the peer, or its acknowledgement of all that was sent
};

}  // namespace dotrelay
