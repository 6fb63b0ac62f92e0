// All TCP clients of one worker: their number and their memory are bounded, the one that has been idle longest makes
// room for a new one, the one that owes most memory for others, and those that take too long are closed.
#pragma once

#include "base/slab.hpp"
#include "config/config.hpp"
#include "listener/tcp_session.hpp"
#include "metrics/counters.hpp"
#include "net/freed_descriptors.hpp"
#include "net/handles.hpp"
#include "relay/forwarder.hpp"
#include "relay/reply_channel.hpp"

#include <memory>
#include <vector>

namespace dotrelay {

class ClientHandover;

class TcpClients final : public ReplyChannel, private MemoryHolder {
 public:
  /// At most `limit` clients, which may be idle for `idle`. The references outlive this object.
  TcpClients(Loop& loop, Forwarder& forwarder, Counters& counters, MemoryBudget& memory, std::size_t limit,
             Duration idle);
  ~TcpClients() override;

  /// Takes a connection on, of which `already_read` has been read.
  void add(UniqueFd fd, const IpAddress& source, Bytes already_read = {});

  void deliver(ClientKey client, Bytes answer) noexcept override;

  /// Reads what has arrived and then no more; every client leaves when it is owed nothing. Ends a hand_over().
  void drain();

  /// Reads no more; every client goes to `successor` when it is owed nothing, and so do those who are added later.
  void hand_over(ClientHandover& successor);
  /// Before the successor goes: nobody is passed to it any more.
  void forget(const ClientHandover& successor);

  [[nodiscard]] bool empty() const { return sessions_.empty(); }

  /// Gives back memory that a flood of clients took.
  void shrink() { sessions_.shrink(); }

  /// What was read in a turn is taken at its end, for all clients in one go: the way of a query through the relay then
  /// stays in the processor's caches, from which each system call would drive it.
  void take_arrivals();

  /// Hears of the descriptor of each client that leaves.
  FreedDescriptors& freed_descriptors() { return freed_descriptors_; }

  /// The client, or nullptr when it has gone.
  TcpSession* find(Handle<TcpSession> session) { return sessions_.find(session); }

  // For the sessions.
  enum class Stage : std::uint8_t { serving, draining, handing_over };
  [[nodiscard]] Stage stage() const { return stage_; }
  void pass_on(Handle<TcpSession> session);
  Loop& loop() { return loop_; }
  /// Whether to read a client when it is accepted. Under load most have asked by then; else the read costs a system
  /// call for nothing, so after one in vain the next few are left to the loop.
  bool reads_at_accept() { return unread_accepts_ == 0 || --unread_accepts_ == 0; }
  void nothing_to_read() { unread_accepts_ = kUnreadAccepts; }
  /// Where to read to: kLeastRoom octets at least. May take what has arrived before.
  MutableBytes room_to_read();
  /// `octets` at the beginning of that room are for session.take().
  void arrived(Handle<TcpSession> session, std::size_t octets);
  Accepted accept(Bytes message, const IpAddress& source, Handle<TcpSession> session, TimePoint now);
  /// The session is owed nothing since now; or it is owed something.
  void now_idle(Handle<TcpSession> session) { idle_sessions_.push_back(session); }
  void now_busy(Handle<TcpSession> session) { idle_sessions_.remove(session); }
  void remove(Handle<TcpSession> session);
  MemoryBudget& memory() { return memory_; }
  void count_shed() { counters_.add(Counter::tcp_shed); }
  /// Gives the queue, which is empty, memory that other sessions have used, if there is some.
  void lend(ByteQueue& queue);
  /// Takes the memory of the queue, which is empty.
  void take_back(ByteQueue& queue);

 private:
  [[gnu::cold]] bool make_room();
  bool shed(std::size_t octets) noexcept override;
  [[gnu::cold]] void close_expired();
  void schedule_check();

  Loop& loop_;
  Forwarder& forwarder_;
  Counters& counters_;
  MemoryBudget& memory_;
  std::size_t limit_;
  Duration idle_;
  dns::Transport transport_;
  std::vector<ByteQueue> spare_;  ///< empty ones with memory, for output
  std::size_t spare_bytes_ = 0;
  TimePoint walked_in_vain_at_{};  ///< shed() found no client that owes more than largest_debt_
  std::size_t largest_debt_ = 0;
  Slab<TcpSession> sessions_;
  LinkedList<TcpSession, &TcpSession::idle_hook> idle_sessions_;  ///< the one that has been idle longest in front
  Timer check_;
  bool check_scheduled_ = false;
  Stage stage_ = Stage::serving;
  ClientHandover* successor_ = nullptr;
  FreedDescriptors freed_descriptors_;

  static constexpr std::uint8_t kUnreadAccepts = 16;
  std::uint8_t unread_accepts_ = 0;

  static constexpr std::size_t kRoomToRead = std::size_t{64} * 1024;
  static constexpr std::size_t kLeastRoom = std::size_t{16} * 1024;
  struct Arrival {
    Handle<TcpSession> session;
    Bytes octets;
  };
  std::unique_ptr<std::uint8_t[]> room_to_read_;
  std::size_t room_taken_ = 0;
  std::vector<Arrival> arrivals_;
};

}  // namespace dotrelay
