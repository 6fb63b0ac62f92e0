// Opens, renews and closes connections to upstreams, own ones and ways through siblings. What that means for the
// queries on them is collected as news, which the Forwarder takes when the call is over: no query is sent again while
// connections are still being closed.
#pragma once

#include "base/clock.hpp"
#include "relay/borrowing.hpp"
#include "relay/connection.hpp"
#include "relay/environment.hpp"
#include "relay/experience.hpp"
#include "relay/lending.hpp"
#include "relay/query.hpp"
#include "relay/trials.hpp"
#include "relay/upstream_set.hpp"

#include <string_view>
#include <utility>
#include <vector>

namespace dotrelay {

/// What has become of connections, as far as queries are concerned.
struct ConnectionNews {
  /// Queries whose connection has ended before their answers. The attempt is gone already.
  struct Lost {
    std::vector<QueryHandle> queries;
    std::size_t upstream;
    CloseKind kind;
    bool fruitless;        ///< the connection has never answered anything
    bool upstream_counts;  ///< another connection to the upstream is as good as a fresh one
  };
  std::vector<Lost> lost;
  UpstreamMask usable;      ///< upstreams with a new connection that takes queries
  bool look_again = false;  ///< a dial has ended, or is slow to come: queries may choose anew, in time
};

class ConnectionPool {
 public:
  /// The references outlive the object.
  ConnectionPool(const Environment& environment, Slab<Query>& queries, UpstreamSet& upstreams, Lending& lending,
                 Experience& experience);

  [[gnu::cold]] ConnectionHandle dial(AddressIndex target, TimePoint now);
  /// A query was sent on a way through a sibling.
  [[gnu::cold]] void on_passed(AddressIndex index, TimePoint now) {
    if (borrowing_.on_passed(index, now)) dial(index, now);
  }
  /// Dials addresses that are due for a trial.
  [[gnu::cold]] void start_trials(const std::vector<AddressIndex>& due, bool urgent, TimePoint now);
  /// The same for all of `among` that are due, as no query is sent to any; `urgent`: as queries wait for them.
  [[gnu::cold]] void try_all(UpstreamMask among, bool urgent, TimePoint now);

  /// TCP is connected, or ready: how long its way takes decides how long TLS and answers may.
  [[gnu::cold]] void measure(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void on_ready(ConnectionHandle handle, TimePoint now);
  /// It is not suspected any more.
  [[gnu::cold]] void end_suspicion(ConnectionHandle handle, TimePoint now);
  /// The address's other connections that owe nothing and are as old: only the next query would find out about them.
  [[gnu::cold]] [[nodiscard]] std::vector<ConnectionHandle> idle_siblings(ConnectionHandle handle) const;

  /// Ends a connection, for a reason of its own or of the relay's.
  [[gnu::cold]] void close(ConnectionHandle handle, const CloseReason& reason, TimePoint now);
  /// It has worn out, and owes nothing.
  [[gnu::cold]] void close_worn(ConnectionHandle handle, TimePoint now);
  /// The ways through siblings to an address that has a connection of this worker's own, as soon as they owe nothing.
  [[gnu::cold]] void drop_borrowed(AddressIndex index, TimePoint now);
  /// Dials to the address that began at `since` or later, and that no query needs.
  [[gnu::cold]] void drop_dials(AddressIndex index, TimePoint since, TimePoint now);
  struct Dropped {
    std::vector<QueryHandle> unanswered;  ///< some may have attempts elsewhere; there is no other news of them
    bool is_other_network = false;        ///< what was found out about the old one says nothing
  };
  /// Drops all connections, or those that the kernel would now make in another way, and lets what was waiting for its
  /// back-off on such a way be tried at once.
  [[gnu::cold]] Dropped drop_all(bool whatever_way, std::string_view why, TimePoint now);

  /// Connections that a time limit of theirs has come to.
  struct Due {
    std::vector<ConnectionHandle> timed_out;
    std::vector<ConnectionHandle> handshaking;
    std::vector<ConnectionHandle> unsure;  ///< whether the path is alive
    std::vector<ConnectionHandle> useless;
    std::vector<ConnectionHandle> idle;
  };
  [[nodiscard]] Due due(TimePoint now);
  void end_dials(const Due& due, TimePoint now);
  void end_idle(const Due& due, TimePoint now);

  [[nodiscard]] Borrowing& borrowing() { return borrowing_; }
  [[nodiscard]] Trials& trials() { return trials_; }

  /// When to look for what a dial or a sibling may bring, while queries wait for the upstreams in `urgent`.
  [[nodiscard]] TimePoint next_look(UpstreamMask urgent, TimePoint now) const {
    if (urgent.empty() && !borrowing_.must_look()) return kNever;
    // In steps of the clock, so that what happens meanwhile does not put it off.
    const TimePoint step((now.time_since_epoch() / UrgentDials::kLook + 1) * UrgentDials::kLook);
    return std::min(step, trials_.next_event(urgent, now));
  }

  [[nodiscard]] bool has_news() const { return !news_.usable.empty() || news_.look_again || !news_.lost.empty(); }
  [[nodiscard]] ConnectionNews take_news() { return std::exchange(news_, {}); }

 private:
  /// What is known of a connection that has ended.
  struct Ending {
    AddressIndex index;
    CloseReason reason;
    Health::Epoch epoch;
    TimePoint dialled_at;
    bool was_ready;
    bool is_failure;
    bool beside;  ///< an own connection to the address works: the server may not want another one
  };
  void judge(const Ending& ending, TimePoint now);
  void tell_lost(ConnectionNews::Lost lost);
  void on_large_packets_lost(ConnectionHandle made, TimePoint now);
  void close_surplus_dials(std::size_t upstream, TimePoint now);
  void close_renewed(ConnectionHandle replacement, TimePoint now);
  void close_borrowed(ConnectionHandle handle, const CloseReason& reason, TimePoint now);
  void on_server_closed_idle(ConnectionHandle handle, TimePoint now);
  void look_at_handshake(ConnectionHandle handle, TimePoint now);
  void on_idle(ConnectionHandle handle, TimePoint now);
  void renew(ConnectionHandle handle, Duration lifetime, TimePoint now);
  std::vector<QueryHandle> take_down(ConnectionHandle handle, TimePoint now);

  const RelayConfig& config_;
  const Duration patience_;
  Dialer& dialer_;
  Counters& counters_;
  Log& log_;
  Slab<Query>& queries_;
  UpstreamSet& upstreams_;
  Lending& lending_;
  Experience& experience_;
  Borrowing borrowing_;
  Trials trials_;
  ConnectionNews news_;
};

}  // namespace dotrelay
