// The conductor: what happens to the relay comes in here, and the parts that hold its state are told in order.
// Listeners hand queries in, connections report what happened, a timer reports the time. What an event means for a
// query is decided here; where the query goes next is the Router's, what a client is told QueryEndings'. It touches no
// socket and asks no clock.
#pragma once

#include "base/clock.hpp"
#include "config/config.hpp"
#include "metrics/counters.hpp"
#include "relay/cached_answers.hpp"
#include "relay/connection.hpp"
#include "relay/connection_pool.hpp"
#include "relay/environment.hpp"
#include "relay/experience.hpp"
#include "relay/in_flight.hpp"
#include "relay/incoming.hpp"
#include "relay/lending.hpp"
#include "relay/path_watch.hpp"
#include "relay/query.hpp"
#include "relay/query_beginnings.hpp"
#include "relay/query_endings.hpp"
#include "relay/rcode_policy.hpp"
#include "relay/router.hpp"
#include "relay/shared_connections.hpp"
#include "relay/upstream_set.hpp"
#include "relay/waiting_clients.hpp"
#include "relay/zones.hpp"

#include <span>
#include <string_view>

namespace dotrelay {

class Forwarder final : public ConnectionEvents {
 public:
  /// Time is asked for at least so often while connections are open, and a gap of kClockGap means that the process or
  /// the machine has slept: it is not known what became of the connections.
  static constexpr Duration kTick = std::chrono::seconds(1);
  static constexpr Duration kClockGap = std::chrono::milliseconds(2500);

  /// Octets of an error that are kept while the next upstream is asked. A longer one is told by its RCODE alone.
  static constexpr std::size_t kMaxKeptError = 1232;

  /// `health` has an entry for each upstream address in the order of the configuration. `shared`: what is known of the
  /// siblings' connections. All references outlive the forwarder.
  Forwarder(const Environment& environment, std::span<SharedHealth> health, SharedConnections shared = {});
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
  Accepted ask_upstream(const Asked& asked, bool has_stale, TimePoint now);
  Accepted answer_from_cache(const Asked& asked, const ReadyAnswer& kept, TimePoint now);

  // As time passes.
  void notice_time(TimePoint now);
  [[nodiscard]] bool is_gap(TimePoint now) const;
  [[gnu::cold]] void on_check(QueryHandle handle, TimePoint now);
  [[gnu::cold]] void ask_elsewhere_too(const Experience::Slowed& slowed, TimePoint now);
  void check_connections(TimePoint now);
  [[gnu::cold]] void forget_connections(bool all, std::string_view why, TimePoint now);

  // What has become of connections.
  void settle(TimePoint now);
  [[gnu::cold]] void reroute_waiting(TimePoint now);
  [[gnu::cold]] void heed(const PathWatch::Verdict& verdict, ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void distrust(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void trust_again(ConnectionHandle handle, TimePoint since, TimePoint now);

  // What has come on them.
  bool receive(ConnectionHandle handle, TimePoint now);
  void conclude(ConnectionHandle handle, bool was_doubtful, TimePoint now);
  void on_message(ConnectionHandle handle, Bytes message, TimePoint now);
  [[gnu::cold]] void on_bad_frame(ConnectionHandle handle, Bytes message, TimePoint now);
  [[gnu::cold]] void on_malformed_answer(ConnectionHandle handle, std::uint16_t id, Bytes message, TimePoint now);
  void on_answer(const PendingQueries::Entry& entry, ConnectionHandle connection, const dns::ResponseView& response,
                 Bytes message, TimePoint now);
  [[gnu::cold]] void on_error(QueryHandle handle, ErrorAnswer error, bool trial, TimePoint now);

  const Config& config_;
  Counters& counters_;
  const HashKey hash_key_;
  const Zones zones_;

  Slab<Query> queries_;
  InFlight in_flight_;
  WaitingClients clients_;
  CachedAnswers cached_;
  UpstreamSet upstreams_;
  Lending lending_;
  Experience experience_;
  ConnectionPool pool_;
  PathWatch path_watch_;
  Router router_;
  QueryBeginnings beginnings_;
  QueryEndings endings_;

  TimePoint last_seen_{};
  TimePoint published_at_{};
};

}  // namespace dotrelay
