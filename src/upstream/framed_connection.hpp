// A connection to an upstream: messages in frames over TCP (RFC 7766). It carries octets and reports what happened;
// which query goes where is the forwarder's business. What stands between the frames and the socket, TLS or nothing, is
// what DotConnection and PlainConnection add.
#pragma once

#include "base/address.hpp"
#include "base/byte_queue.hpp"
#include "base/egress.hpp"
#include "net/acknowledgement.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"
#include "net/tcp_stream.hpp"
#include "relay/connection.hpp"

#include <optional>
#include <string>

namespace dotrelay {

class FramedConnection : public Connection, private PollListener, private FlushTarget {
 public:
  /// Octets that may wait to be sent: about 8,000 padded queries, all that one connection may have in flight.
  static constexpr std::size_t kMaxQueuedBytes = 1 << 20;

  /// What hears from the connection, and as which. The references outlive it.
  struct Wiring {
    Loop& loop;
    ConnectionEvents& events;
    ConnectionHandle handle;
  };

  struct Way {
    Endpoint endpoint;
    const Egress& egress;             ///< outlives the connection
    std::uint16_t segment_limit = 0;  ///< octets of TCP segments; 0: none
  };

  [[nodiscard]] State state() const final { return state_; }
  bool send(Bytes message) final;
  std::optional<Bytes> next_message() override;
  [[nodiscard]] const CloseReason& close_reason() const final { return close_reason_; }
  [[nodiscard]] PathState path(TimePoint now, Duration delay) final;
  [[nodiscard]] bool route_has_changed() const final;

 protected:
  FramedConnection(const Wiring& wiring, const Way& way) : wiring_(wiring), way_(way) {}

  /// Begins to connect: the last thing that a constructor does.
  void begin();
  /// Instead of begin(): there is no way to the peer.
  [[gnu::cold]] void begin_closed(std::string why);
  /// Begins once more, in recover().
  [[gnu::cold]] void begin_again();
  void set_state(State state) { state_ = state; }
  void end(CloseKind kind, std::string text);
  /// As much of outgoing() as the kernel takes.
  void write();
  /// None before TCP is connected.
  [[nodiscard]] std::optional<TcpFacts> tcp_facts() const;

 private:
  /// TCP is connected: sets the state to handshaking or ready.
  virtual void on_connected() = 0;
  /// The peer has sent this.
  virtual void take_octets(Bytes octets) = 0;
  /// Moves frames to outgoing(). May end the connection.
  virtual void encode(ByteQueue& frames) = 0;
  /// What is to be written to the socket. Called once TCP is connected, as the next.
  virtual ByteQueue& outgoing() = 0;
  /// Frames that have come.
  virtual ByteQueue& incoming_frames() = 0;
  /// It has closed before it was ready: may begin again, unseen from outside.
  virtual void recover() {}

  void on_poll(bool readable, bool writable) noexcept final;
  void flush() noexcept final;
  void read();
  [[gnu::cold]] void advance_connecting(bool readable, bool writable);
  [[gnu::cold]] void end_by_end_of_stream();
  [[gnu::cold]] void end_by_errno(int error);

  Wiring wiring_;
  const Way way_;
  std::optional<TcpStream> stream_;
  State state_ = State::connecting;
  bool tcp_connected_ = false;
  bool answers_wait_ = false;  ///< to be read at the end of this turn
  CloseReason close_reason_;
  UnacknowledgedWrites writes_;
  ByteQueue frames_;                  ///< to send at the end of this turn
  std::size_t frame_to_consume_ = 0;  ///< what next_message() returned last
};

}  // namespace dotrelay
