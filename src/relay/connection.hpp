// An upstream connection as the forwarder sees it: messages in, messages out, and why it ended. DotConnection
// implements it over TLS; tests implement it over nothing.
#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/slab.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace dotrelay {

struct PooledConnection;
using ConnectionHandle = Handle<PooledConnection>;

/// Why a connection could not be made or ended. The kinds differ in what the relay does next.
enum class CloseKind : std::uint8_t {
  closed_by_peer,  ///< FIN, RST or close_notify after the handshake: normal when idle
  unreachable,     ///< refused or reset before the handshake was done
  no_route,        ///< this host has no way there: known at once, and cheap to try again
  timed_out,       ///< silence
  authentication,  ///< the certificate does not prove the upstream's identity
  tls,             ///< the handshake failed for another reason, or a record was forged
  protocol,        ///< what came was not DNS, or answers to questions that were not asked
  silent,          ///< established, and TCP's octets are no longer acknowledged
  dropped,         ///< by the relay itself: idle, or the network under it has changed
};

struct CloseReason {
  CloseKind kind = CloseKind::closed_by_peer;
  std::string text;  ///< in the words of the log and of EDE texts: "certificate expired"
};

/// What TCP knows of the way to the peer.
struct PathState {
  bool silent = false;    ///< octets unacknowledged for longer than a living path takes
  Duration look_again{};  ///< when the verdict may be another one; zero: all that was sent is acknowledged
  Duration late{};  ///< the peer has acknowledged so much later than a living path does; zero: not since the last look
  Duration round_trip{};  ///< as TCP measures it; zero before it is connected
};

class Connection {
 public:
  /// `handshaking`: TCP is connected, TLS is not ready.
  enum class State : std::uint8_t { connecting, handshaking, ready, closed };

  /// Closes without ceremony.
  virtual ~Connection() = default;

  [[nodiscard]] virtual State state() const = 0;

  /// Queues a message (no length prefix) to leave at the end of this loop iteration. False when too many octets wait
  /// already. Only when ready.
  virtual bool send(Bytes message) = 0;

  /// The next message that has arrived, possibly empty, or nothing. Valid until the next call on this connection.
  virtual std::optional<Bytes> next_message() = 0;

  /// Only when closed.
  [[nodiscard]] virtual const CloseReason& close_reason() const = 0;

  /// `delay`: how long the peer is known to hold acknowledgements back.
  [[nodiscard]] virtual PathState path(TimePoint now, Duration delay) = 0;

  /// While the connection is being made: for how long the peer has sent nothing although TCP is established and has
  /// acknowledged all that was sent; zero when it is not so.
  [[nodiscard]] virtual Duration handshake_silence(TimePoint now) = 0;

  /// Whether the kernel would now take another way to the peer than when the connection was made (other source address,
  /// or no route).
  [[nodiscard]] virtual bool route_has_changed() const = 0;

  /// For the log line when the connection becomes ready: "TLS 1.3, resumed". Only when ready.
  [[nodiscard]] virtual std::string description() const = 0;
};

class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;

  /// The connection became ready, has messages, or closed. The call may destroy the connection. Never made from inside
  /// dial() or a call on the connection.
  virtual void on_activity(ConnectionHandle connection, TimePoint now) noexcept = 0;
};

class Dialer {
 public:
  virtual ~Dialer() = default;

  /// Begins a connection to address number `address` of upstream number `upstream`, with TCP segments of at most
  /// `segment_limit` octets either way (0: no limit). Failure is reported through the connection, later.
  virtual std::unique_ptr<Connection> dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                           std::uint16_t segment_limit) = 0;

  /// A number for the way that the kernel would take there now: another one when the way has changed. Not 0.
  virtual std::uint32_t way_to(std::size_t upstream, std::size_t address) = 0;
};

}  // namespace dotrelay
