// One client's TCP connection (RFC 7766): pipelined queries in, answers out in the order in which they come.
#pragma once

#include "base/byte_queue.hpp"
#include "base/linked_list.hpp"
#include "listener/unread_budget.hpp"
#include "net/handles.hpp"
#include "net/tcp_stream.hpp"
#include "relay/forwarder.hpp"

namespace dotrelay {

class TcpClients;

class TcpSession final : private PollListener, private FlushTarget {
 public:
  /// A client that has just connected and not asked yet may have its first query on its way: so long a drain waits.
  static constexpr Duration kFirstQueryPatience = std::chrono::milliseconds(200);

  TcpSession(TcpClients& clients, UniqueFd fd, const IpAddress& source);
  ~TcpSession() override;

  /// To be called once, when the session is in its slab under `handle`.
  void start(Handle<TcpSession> handle, Bytes already_read);

  /// Queries and a part of one, as arrived() was told of them. The octets do not survive the call.
  void take(Bytes octets, TimePoint now);

  /// The answer to one of its queries.
  void answer(Bytes message);

  /// Reads what has arrived and then no more; leaves when nothing is owed.
  void drain();

  /// Reads no more; passes the client on when nothing is owed.
  void hand_over() { flush(); }

  /// Closes the connection and lets go of all memory. For TcpClients: the session itself goes at the end of the turn.
  void close();

  /// Was given up or closed: goes at the end of the turn, and does nothing until then.
  [[nodiscard]] bool is_leaving() const { return state_ >= State::given_up; }

  // What a successor needs of a client that is owed nothing: less than one whole message has been read.
  [[nodiscard]] int fd() const { return stream_.fd(); }
  [[nodiscard]] const IpAddress& source() const { return source_; }
  [[nodiscard]] Bytes already_read() const { return input_.bytes(); }

  [[nodiscard]] bool owes_nothing() const { return !budget_.owes() && output_.empty() && state_ != State::arrived; }

  /// Octets of memory that wait for the client to act: answers that it has not taken, here and in the kernel, and what
  /// it has sent of a query.
  [[nodiscard]] std::size_t debt() const {
    return is_leaving() ? 0 : output_.memory_bytes() + input_.memory_bytes() + in_kernel_;
  }

  /// Drops what it holds for the client, and resets the connection at the end of the turn.
  void give_up();

  /// Looks again what the kernel keeps for the client, if that was much.
  void look_at_kernel();

  /// When the session is to be closed if nothing happens: idle, a query half-sent, an answer not taken. Never while an
  /// answer is owed that can be sent, and never while the session is leaving anyway.
  [[nodiscard]] TimePoint expiry(Duration idle) const;

  ListHook<TcpSession> idle_hook;  ///< of TcpClients, while nothing is owed

 private:
  enum class State : std::uint8_t {
    open,       ///< nothing that was read waits to be taken
    arrived,    ///< something was read that take() will get
    ended,      ///< the client sends no more
    passed_on,  ///< waits in the ClientHandover
    given_up,   ///< answers were dropped, so the connection is of no use: flush() resets it
    closed,
  };

  void on_poll(bool readable, bool writable) noexcept override;
  void flush() noexcept override;

  bool read();
  std::size_t take_queries(Bytes octets, TimePoint now);
  void take_waiting_queries(TimePoint now);
  bool write(TimePoint now);
  void append(Bytes message);
  [[nodiscard]] bool may_take_queries() const { return !is_leaving() && budget_.allows(output_.size()); }
  /// While clients are drained: whether its first query may still come.
  [[nodiscard]] bool may_still_ask() const;
  void drop_queues();
  void settle();
  void watch();

  TcpClients& clients_;
  TcpStream stream_;
  IpAddress source_;
  Handle<TcpSession> handle_;
  ByteQueue input_;   ///< what is left of what was read: less than a query, or queries when too much is owed
  ByteQueue output_;  ///< with memory that OutputMemory lends
  UnreadBudget budget_;
  State state_ = State::open;
  bool blocked_ = false;  ///< the kernel takes no more
  bool has_asked_ = false;
  bool input_in_use_ = false;  ///< queries are being taken from it
  std::size_t in_kernel_ = 0;  ///< octets, when it was looked at last
  std::size_t counted_ = 0;    ///< octets that the memory budget was told of
  TimePoint last_activity_;    ///< the latest whole query, or progress in sending
  TimePoint message_began_{};  ///< when the first octet of the query that is now half there came
};

}  // namespace dotrelay
