// The conductor: every decision in a query's life is made here. Listeners hand queries in, connections report what
// happened, a timer reports the time; in-flight table, upstream set and health are data that the forwarder asks. It
// touches no socket and asks no clock.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "config/config.hpp"
#include "metrics/counters.hpp"
#include "relay/connection.hpp"
#include "relay/experience.hpp"
#include "relay/hedge_budget.hpp"
#include "relay/in_flight.hpp"
#include "relay/lending.hpp"
#include "relay/memory_budget.hpp"
#include "relay/outage.hpp"
#include "relay/query.hpp"
#include "relay/rcode_policy.hpp"
#include "relay/shared_connections.hpp"
#include "relay/siblings.hpp"
#include "relay/upstream_set.hpp"
#include "relay/waiting_clients.hpp"
#include "relay/waiting_queries.hpp"

#include <array>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dotrelay {

class Forwarder final : public ConnectionEvents {
 public:
  /// Clients that share one upstream query, which bounds the work of one answer; the next begins another.
  static constexpr std::size_t kMaxWaitersPerQuery = 10000;
  /// The cause while that is suspected, and the log's words when it is proven.
  static constexpr std::string_view kLargePacketsLost = "large packets are lost on this path (MTU?)";
  /// The cause that clients are told when an upstream's answer could not be read.
  static constexpr std::string_view kMalformedAnswer = "malformed answer";

  /// After this time, or a quarter of the deadline when that is shorter, the next upstream is asked as well, whatever
  /// the budget for hedging: with three upstreams and the default deadline each has been asked before the last quarter
  /// of the client's time begins.
  static constexpr Duration kMaxPatience = std::chrono::seconds(1);
  /// A late query for which the budget has nothing left looks again so often.
  static constexpr Duration kHedgeInterval = std::chrono::milliseconds(25);
  /// Time is asked for at least so often while connections are open, and a gap of kClockGap means that the process or
  /// the machine has slept: nobody knows what became of the connections.
  static constexpr Duration kTick = std::chrono::seconds(1);
  static constexpr Duration kClockGap = std::chrono::milliseconds(2500);

  /// Octets of an error that are kept while the next upstream is asked. A longer one is told by its RCODE alone.
  static constexpr std::size_t kMaxKeptError = 1232;

  /// `health` has an entry for each upstream address in the order of the configuration. The references outlive the
  /// forwarder. `siblings`, with what is known of their connections: nullptr for a worker that has none.
  Forwarder(const Config& config, std::span<SharedHealth> health, Dialer& dialer, Counters& counters,
            MemoryBudget& memory, Log& log, Random& random, SharedConnections shared = {},
            Siblings* siblings = nullptr);
  ~Forwarder() override;

  Accepted accept(const Incoming& incoming, TimePoint now);

  void on_activity(ConnectionHandle connection, TimePoint now) noexcept override;

  /// Addresses or routes of this host have changed.
  void on_network_change(TimePoint now);

  /// The clock of the day was set: certificates that were refused may be in date now.
  void on_clock_set(TimePoint now);

  /// The machine has slept: every connection is made anew.
  void on_sleep(TimePoint now);

  /// Does what is due. To be called at next_timeout() at the latest; earlier calls do no harm.
  void on_timer(TimePoint now);
  [[nodiscard]] TimePoint next_timeout(TimePoint now);

  /// No client waits, neither here nor at a sibling for what this worker has lent.
  [[nodiscard]] bool idle() const { return clients_.empty() && lending_.empty(); }

  /// What siblings ask of this worker.
  [[nodiscard]] Lending& lending() { return lending_; }

  /// Gives back memory that a flood of queries took.
  void shrink();

 private:
  // A query's way in.
  QueryHandle join_or_begin(const QueryKey& key, ClientQuota::Place place, TimePoint now);

  // On its way.
  void proceed(QueryHandle handle, TimePoint now);
  [[nodiscard]] bool route(QueryHandle handle, TimePoint now);
  bool send(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now);
  void send_copy(QueryHandle handle, AddressIndex before, TimePoint now);
  /// What a query can do when there is nothing to send it on.
  enum class Hope : std::uint8_t {
    another_choice,  ///< more connections may be chosen now
    waits,           ///< for a connection, or for the answer to what is under way
    none,            ///< it is to be given up
  };
  [[gnu::cold]] Hope look_for_hope(QueryHandle handle, TimePoint now);
  [[gnu::cold]] bool wait_for_trial(QueryHandle handle, bool urgent, TimePoint now);
  [[gnu::cold]] UpstreamMask mute_upstreams(const Query& query, TimePoint now);
  [[gnu::cold]] [[nodiscard]] bool has_waited_in_outage(const Query& query, TimePoint now);
  [[gnu::cold]] void on_usable(std::size_t upstream, TimePoint now);
  [[gnu::cold]] void reroute_waiting(TimePoint now);
  [[gnu::cold]] void reroute_waiting_in_time(TimePoint now);
  [[gnu::cold]] ConnectionHandle dial(AddressIndex target, TimePoint now);
  void start_trials(UpstreamMask among, std::optional<AddressIndex> used, bool urgent, TimePoint now);

  // As time passes.
  void notice_time(TimePoint now);
  [[nodiscard]] bool is_gap(TimePoint now) const;
  void expire(TimePoint now);
  void schedule_check(QueryHandle handle, Query& query, const SlowPath& path, TimePoint now);
  [[gnu::cold]] void on_check(QueryHandle handle, TimePoint now);
  [[gnu::cold]] void repeat(QueryHandle handle, TimePoint now);
  [[gnu::cold]] void mark_late(Query& query, TimePoint now);
  [[gnu::cold]] bool may_hedge(Query& query);
  [[gnu::cold]] void ask_next_too(QueryHandle handle, TimePoint now);
  void check_connections(TimePoint now);
  [[gnu::cold]] void ask_elsewhere_too(const Experience::Slowed& slowed, TimePoint now);
  [[gnu::cold]] void look_at_path(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void measure(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void suspect(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void withdraw_suspicion(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void give_up_suspect(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void end_suspicion(ConnectionHandle handle, TimePoint now);
  template <class Act>
  void for_idle_siblings(ConnectionHandle handle, Act act);
  [[gnu::cold]] void look_at_handshake(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void on_idle(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void renew(ConnectionHandle handle, Duration lifetime, TimePoint now);
  [[gnu::cold]] void forget_connections(bool all, std::string_view why, TimePoint now);

  // What connections report.
  [[gnu::cold]] void on_ready(ConnectionHandle handle, TimePoint now);
  void on_message(ConnectionHandle handle, Bytes message, TimePoint now);
  [[nodiscard]] bool answers(const PendingQueries::Entry& entry, const dns::Question& question) const;
  [[gnu::cold]] bool ask_without_edns(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now);
  [[gnu::cold]] void on_bad_frame(ConnectionHandle handle, Bytes message, TimePoint now);
  [[gnu::cold]] void on_malformed_answer(ConnectionHandle handle, std::uint16_t id, Bytes message, TimePoint now);
  struct Source {
    AddressIndex index;
    Meaning meaning = Meaning::answer;
    bool trial = false;
  };
  void on_answer(QueryHandle handle, const dns::Response& response, Source from, Bytes message, TimePoint now);
  [[gnu::cold]] void on_error(QueryHandle handle, ErrorAnswer error, bool trial, TimePoint now);
  [[gnu::cold]] void close_renewed(ConnectionHandle replacement, TimePoint now);
  [[gnu::cold]] void close_worn(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void on_large_packets_lost(ConnectionHandle made, TimePoint now);
  [[gnu::cold]] void close_surplus_dials(std::size_t upstream, TimePoint now);
  [[gnu::cold]] void on_server_closed_idle(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void close(ConnectionHandle handle, const CloseReason& reason, TimePoint now);
  [[gnu::cold]] std::vector<QueryHandle> take_down(ConnectionHandle handle, TimePoint now);

  // Siblings, where a server wants no more connections.
  [[gnu::cold]] void borrow(AddressIndex target, TimePoint now);
  [[gnu::cold]] bool borrow_in_trouble(UpstreamMask among, TimePoint now);
  [[gnu::cold]] void close_borrowed(ConnectionHandle handle, const CloseReason& reason, TimePoint now);
  [[gnu::cold]] void drop_borrowed(AddressIndex index, TimePoint now);
  [[gnu::cold]] bool on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now);
  [[gnu::cold]] void on_passed(AddressIndex index, TimePoint now);
  [[gnu::cold]] void retry_elsewhere(QueryHandle handle, std::size_t upstream, CloseKind kind, TimePoint now);
  [[gnu::cold]] void route_without(QueryHandle handle, TimePoint now);

  // Its end.
  /// What is left for a client that gets no good answer.
  struct LastWord {
    Outcome::Kind kind;
    std::string cause;
    [[nodiscard]] Outcome outcome() const;
  };
  [[gnu::cold]] [[nodiscard]] LastWord last_word(const Query& query, TimePoint now);
  void finish(QueryHandle handle, const Outcome& outcome);
  [[gnu::cold]] void give_up(QueryHandle handle, TimePoint now);
  [[gnu::cold]] Accepted give_up_at_once(QueryHandle handle, TimePoint now);
  [[gnu::cold]] void tell_postponed(TimePoint now);
  [[gnu::cold]] void fail_waiter(WaiterHandle handle, TimePoint now);
  void drop(QueryHandle handle);
  void retire(QueryHandle handle);
  [[gnu::cold]] void note_outage(UpstreamMask eligible, std::string_view cause, TimePoint now);
  [[gnu::cold]] std::string cause(const Query& query);

  const Config& config_;
  Dialer& dialer_;
  Counters& counters_;
  Log& log_;
  const HashKey hash_key_;
  const Duration patience_;
  Siblings* const siblings_;

  Slab<Query> queries_;
  InFlight in_flight_;
  WaitingClients clients_;
  UpstreamSet upstreams_;
  Lending lending_;
  Experience experience_;
  DueWheel<Query, &Query::check> checks_;
  WaitingQueries waiting_;

  HedgeBudget hedge_budget_;
  TimePoint last_seen_{};
  TimePoint published_at_{};
  Outages outages_;
};

}  // namespace dotrelay
