// One client's TCP connection (RFC 7766): pipelined queries in, answers out in the order in which they come.
#pragma once

#include "base/byte_queue.hpp"
#include "base/linked_list.hpp"
#include "net/handles.hpp"
#include "net/tcp_stream.hpp"
#include "relay/forwarder.hpp"

namespace dotrelay {

class TcpClients;

class TcpSession final : private PollListener, private FlushTarget {
 public:
  /// Queries of one client in flight; beyond it the client waits in its own socket (RFC 7766 6.2.1: no limit is named;
  /// Knot Resolver 100, Unbound 32).
  static constexpr std::size_t kMaxInFlight = 256;
  /// Octets of answers that a client has not taken before no more of its queries are read.
  static constexpr std::size_t kMaxUnread = 256 * 1024;

  TcpSession(TcpClients& clients, UniqueFd fd, const IpAddress& source);
  ~TcpSession() override;

  /// To be called once, when the session is in its slab under `handle`. May destroy the session.
  void start(Handle<TcpSession> handle, Bytes already_read);

  /// Queries and a part of one, as arrived() was told of them. The octets do not survive the call.
  void take(Bytes octets, TimePoint now);

  /// The answer to one of its queries.
  void answer(Bytes message);

  /// Reads what has arrived and then no more; closes when nothing is owed. May destroy the session.
  void drain();

  /// Reads no more; passes the client on when nothing is owed. May destroy the session.
  void hand_over() { flush(); }

  // What a successor needs of a client that is owed nothing: less than one whole message has been read.
  [[nodiscard]] int fd() const { return stream_.fd(); }
  [[nodiscard]] const IpAddress& source() const { return source_; }
  [[nodiscard]] Bytes already_read() const { return input_.bytes(); }

  [[nodiscard]] bool owes_nothing() const { return owed_ == 0 && output_.empty() && !arrived_; }

  /// Octets of answers that the client has not taken.
  [[nodiscard]] std::size_t unread() const { return output_.size(); }

  /// Drops them, and the client with them at the end of the turn.
  void give_up();

  /// When the session is to be closed if nothing happens: idle, a query half-sent, an answer not taken. Never while an
  /// answer is owed that can be sent.
  [[nodiscard]] TimePoint expiry(Duration idle) const;

  /// Lets the client see a reset instead of an orderly end.
  void reset() { stream_.reset_on_close(); }

  ListHook<TcpSession> by_activity;  ///< of TcpClients: least recently used first

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  void flush() noexcept override;

  bool read();
  std::size_t take_queries(Bytes octets, TimePoint now);
  void take_waiting_queries(TimePoint now);
  bool write(TimePoint now);
  void append(Bytes message);
  [[nodiscard]] bool may_take_queries() const { return owed_ < kMaxInFlight && output_.size() < kMaxUnread; }
  void watch();

  TcpClients& clients_;
  TcpStream stream_;
  IpAddress source_;
  Handle<TcpSession> handle_;
  ByteQueue input_;   ///< what is left of what was read: less than a query, or queries when too much is owed
  ByteQueue output_;  ///< its memory is borrowed from TcpClients
  std::size_t owed_ = 0;
  bool arrived_ = false;  ///< something was read that take() will get
  bool blocked_ = false;  ///< the kernel takes no more
  bool input_ended_ = false;
  bool passed_on_ = false;     ///< waits in the ClientHandover
  bool overflowed_ = false;    ///< answers were dropped: the connection is of no use any more
  TimePoint last_activity_;    ///< the latest whole query, or progress in sending
  TimePoint message_began_{};  ///< when the first octet of the query that is now half there came
};

}  // namespace dotrelay
