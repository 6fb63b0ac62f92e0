// One connection to an upstream: TCP, TLS and the framing of messages (RFC 7858, RFC 7766). It carries octets and
// reports what happened; which query goes where is the forwarder's business. A handshake that fails with a ticket is
// begun again without one, at once and unseen from outside.
#pragma once

#include "base/address.hpp"
#include "base/byte_queue.hpp"
#include "base/egress.hpp"
#include "metrics/counters.hpp"
#include "net/acknowledgement.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"
#include "net/tcp_stream.hpp"
#include "relay/connection.hpp"
#include "tls/tls_session.hpp"
#include "upstream/ticket_store.hpp"

#include <optional>

namespace dotrelay {

class DotConnection final : public Connection, private PollListener, private FlushTarget {
 public:
  /// Octets that may wait to be sent: about 8,000 padded queries, all that one connection may have in flight.
  static constexpr std::size_t kMaxQueuedBytes = 1 << 20;

  struct Environment {
    Loop& loop;
    ConnectionEvents& events;
    Counters& counters;
    TicketStore& tickets;
    std::size_t upstream;  ///< its number in the configuration
  };

  struct Way {
    Endpoint endpoint;
    const Egress& egress;
    std::uint16_t segment_limit = 0;  ///< octets of TCP segments; 0: none
  };

  /// Begins to connect. What the environment and the way refer to, and `tls`, outlive the connection.
  DotConnection(const Environment& environment, ConnectionHandle handle, const Way& way, const TlsClientContext& tls);
  ~DotConnection() override;

  [[nodiscard]] State state() const override { return state_; }
  bool send(Bytes message) override;
  std::optional<Bytes> next_message() override;
  [[nodiscard]] const CloseReason& close_reason() const override { return close_reason_; }
  [[nodiscard]] PathState path(TimePoint now, Duration delay) override;
  [[nodiscard]] Duration handshake_silence(TimePoint now) override;
  [[nodiscard]] bool route_has_changed() const override;
  [[nodiscard]] std::string description() const override { return session_->description(); }

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  void flush() noexcept override;

  [[gnu::cold]] void begin();
  [[gnu::cold]] void on_connected();
  [[gnu::cold]] [[nodiscard]] bool ticket_may_be_why() const;
  [[gnu::cold]] void begin_without_ticket();
  void read();
  void advance_session();
  void write();
  [[gnu::cold]] void end(CloseKind kind, std::string text);
  [[gnu::cold]] void end_by_errno(int error);

  Environment environment_;
  ConnectionHandle handle_;
  const Way way_;
  const TlsClientContext& tls_;
  std::optional<TcpStream> stream_;
  std::optional<TlsSession> session_;  ///< from the moment in which TCP is connected
  State state_ = State::connecting;
  bool tcp_connected_ = false;
  bool ticket_offered_ = false;     ///< in the handshake that is under way
  bool ticket_refused_ = false;     ///< by the handshake before
  TimePoint handshake_progress_{};  ///< the latest octets of the peer, or its acknowledgement of all that was sent
  bool answers_wait_ = false;       ///< to be read at the end of this turn
  CloseReason close_reason_;
  UnacknowledgedWrites writes_;
  ByteQueue unencrypted_;             ///< frames to send at the end of this turn
  std::size_t frame_to_consume_ = 0;  ///< what next_message() returned last
};

}  // namespace dotrelay
