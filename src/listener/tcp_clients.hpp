// All TCP clients of one worker: their number and their memory are bounded, the one that has been idle longest makes
// room for a new one, the one that owes most memory for others, and those that take too long are closed. A client's
// connection ends at once, its session at the end of the turn: nothing that runs finds its session gone.
#pragma once

#include "base/slab.hpp"
#include "config/config.hpp"
#include "listener/arrivals.hpp"
#include "listener/early_read.hpp"
#include "listener/output_memory.hpp"
#include "listener/tcp_session.hpp"
#include "metrics/counters.hpp"
#include "net/freed_descriptors.hpp"
#include "net/handles.hpp"
#include "relay/forwarder.hpp"
#include "relay/reply_channel.hpp"

#include <vector>

namespace dotrelay {

class ClientHandover;

class TcpClients final : public ReplyChannel, private MemoryHolder, private FlushTarget {
 public:
  struct Limits {
    std::size_t clients;
    Duration idle;  ///< of a client that is owed nothing
  };

  /// The references outlive this object.
  TcpClients(Loop& loop, Forwarder& forwarder, Counters& counters, MemoryBudget& memory, const Limits& limits);
  ~TcpClients() override;

  /// Takes a connection on, of which `already_read` has been read.
  void add(UniqueFd fd, const IpAddress& source, Bytes already_read = {});

  void deliver(ClientKey client, Bytes answer) noexcept override;

  /// Reads what has arrived and then no more; every client leaves when it is owed nothing. Ends a hand_over().
  void drain();

  /// Reads no more; each client, also one that is added later, goes to `successor` when it is owed nothing.
  void hand_over(ClientHandover& successor);
  /// Passes no more clients on. To be called before the successor goes.
  void forget(const ClientHandover& successor);

  [[nodiscard]] bool empty() const { return size() == 0; }

  /// Gives back memory that a flood of clients took.
  void shrink() { sessions_.shrink(); }

  /// Takes what was read in this turn. To be called at its end, and before idle clients are looked for.
  void take_arrivals();

  /// Hears of the descriptor of each client that leaves.
  FreedDescriptors& freed_descriptors() { return freed_descriptors_; }

  /// The client, or nullptr when it has gone or is leaving.
  TcpSession* find(Handle<TcpSession> session) {
    TcpSession* const found = sessions_.find(session);
    return found != nullptr && !found->is_leaving() ? found : nullptr;
  }

  // For the sessions.
  enum class Stage : std::uint8_t { serving, draining, handing_over };
  [[nodiscard]] Stage stage() const { return stage_; }
  void pass_on(Handle<TcpSession> session);
  Loop& loop() { return loop_; }
  EarlyRead& early_read() { return early_read_; }
  /// Where to read to: Arrivals::kLeastRoom octets at least. May take what has arrived before.
  MutableBytes room_to_read();
  /// `octets` at the beginning of that room are for session.take().
  void arrived(Handle<TcpSession> session, std::size_t octets) { arrivals_.add(session, octets); }
  Accepted accept(Bytes message, const IpAddress& source, Handle<TcpSession> session, TimePoint now);
  /// The session is owed nothing since now; or it is owed something.
  void now_idle(Handle<TcpSession> session) { idle_sessions_.push_back(session); }
  void now_busy(Handle<TcpSession> session) { idle_sessions_.remove(session); }
  /// Closes the connection of a client that has not been removed yet.
  void remove(Handle<TcpSession> session);
  MemoryBudget& memory() { return memory_; }
  void count_shed() { counters_.add(Counter::tcp_shed); }
  OutputMemory& output_memory() { return output_memory_; }

 private:
  [[nodiscard]] std::size_t size() const { return sessions_.size() - removed_.size(); }
  [[gnu::cold]] bool make_room();
  bool shed(std::size_t octets) noexcept override;
  void flush() noexcept override;
  [[gnu::cold]] void close_expired();
  void schedule_check();

  Loop& loop_;
  Forwarder& forwarder_;
  Counters& counters_;
  MemoryBudget& memory_;
  std::size_t limit_;
  Duration idle_;
  dns::Transport transport_;
  OutputMemory output_memory_;
  Arrivals arrivals_;
  EarlyRead early_read_;
  TimePoint walked_in_vain_at_{};  ///< shed() found no client that owes more than largest_debt_
  std::size_t largest_debt_ = 0;
  Slab<TcpSession> sessions_;
  LinkedList<TcpSession, &TcpSession::idle_hook> idle_sessions_;  ///< the one that has been idle longest in front
  std::vector<Handle<TcpSession>> removed_;                       ///< in this turn: closed sessions
  Timer check_;
  bool check_scheduled_ = false;
  Stage stage_ = Stage::serving;
  ClientHandover* successor_ = nullptr;
  FreedDescriptors freed_descriptors_;
};

}  // namespace dotrelay
