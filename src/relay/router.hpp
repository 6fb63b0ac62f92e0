// A query's way: where it goes next, whether it waits for a connection, or that nothing is to be hoped for.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "metrics/counters.hpp"
#include "relay/connection_pool.hpp"
#include "relay/environment.hpp"
#include "relay/experience.hpp"
#include "relay/outage.hpp"
#include "relay/planner.hpp"
#include "relay/query.hpp"
#include "relay/query_checks.hpp"
#include "relay/upstream_set.hpp"
#include "relay/waiting_queries.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace dotrelay {

class Router {
 public:
  /// The references outlive the object.
  Router(const Environment& environment, Slab<Query>& queries, UpstreamSet& upstreams, ConnectionPool& pool,
         Experience& experience);

  // Each of these is false when the query is to be given up. No other query is touched.
  /// Sends the query to the best upstream that it has not asked yet, or lets it wait for one.
  [[nodiscard]] bool route(QueryHandle handle, TimePoint now);
  /// The connection to `upstream` that it was sent on has ended without an answer, or is suspected to have.
  [[gnu::cold]] [[nodiscard]] bool route_after_loss(QueryHandle handle, std::size_t upstream, CloseKind kind,
                                                    TimePoint now);
  /// An attempt has come to nothing: asks elsewhere, unless it has one left that is worth waiting for.
  [[gnu::cold]] [[nodiscard]] bool route_without(QueryHandle handle, TimePoint now);
  /// Asks the next upstream as well; the first answer counts.
  [[gnu::cold]] [[nodiscard]] bool route_beside(QueryHandle handle, TimePoint now);
  /// Perhaps only this query was lost, so it is sent once more where it was. Only once, for upstreams may be late
  /// because they are overloaded.
  [[gnu::cold]] [[nodiscard]] bool repeat(QueryHandle handle, TimePoint now);
  /// Its upstreams had no chance: all may be asked again.
  [[gnu::cold]] [[nodiscard]] bool route_anew(QueryHandle handle, TimePoint now);

  /// The upstream may not understand EDNS: the same question once more, on the same connection, without. False when
  /// that is not possible.
  [[gnu::cold]] [[nodiscard]] bool ask_without_edns(QueryHandle handle, ConnectionHandle connection, bool trial,
                                                    TimePoint now);

  /// The query waits, without being routed now.
  void let_wait(QueryHandle handle) { waiting_.add(handle); }
  /// The path of its attempt on `connection` may be dead: it asks elsewhere now, on a fresh connection to the address
  /// or at the next upstream, whichever is ready first. It may do so once for each attempt.
  [[gnu::cold]] [[nodiscard]] bool distrust(QueryHandle handle, ConnectionHandle connection, TimePoint now);
  /// The path of its attempt on `connection` lives after all: it need not go elsewhere.
  [[gnu::cold]] void trust_again(QueryHandle handle, ConnectionHandle connection, TimePoint now);
  /// There is a connection to the upstream that queries may be sent on. The caller lets those that wait look again.
  [[gnu::cold]] void on_usable(std::size_t upstream, TimePoint now);
  /// Nothing has been usable for long, and the query has waited for a while.
  [[gnu::cold]] [[nodiscard]] bool has_waited_in_outage(const Query& query, TimePoint now);
  /// The network is another one, or has slept.
  void restart_outages(TimePoint now) { outages_.restart(now); }

  /// Why the query gets no answer; the log is told when an outage begins.
  [[gnu::cold]] [[nodiscard]] std::string explain_failure(const Query& query, TimePoint now);
  /// The query's attempts on connections that have answered others since.
  [[gnu::cold]] [[nodiscard]] std::size_t count_left_behind(const Query& query) const;

  /// Forgets a query that is over; IDs whose answers may still come stay reserved on their connections.
  void forget(QueryHandle handle);

  [[nodiscard]] QueryChecks& checks() { return checks_; }
  [[nodiscard]] WaitingQueries& waiting() { return waiting_; }

 private:
  bool send(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now);
  std::optional<std::uint16_t> write_query(QueryHandle handle, PooledConnection& pooled, bool edns, TimePoint now);
  [[gnu::cold]] void send_copy(QueryHandle handle, ConnectionHandle connection, TimePoint now);
  /// What a query can do when there is nothing to send it on.
  enum class Hope : std::uint8_t {
    another_choice,  ///< more connections may be chosen now
    waits,           ///< for a connection, or for the answer to what is under way
    none,            ///< it is to be given up
  };
  [[gnu::cold]] Hope look_for_hope(QueryHandle handle, TimePoint now);
  [[gnu::cold]] Hope look_beside_attempts(QueryHandle handle, TimePoint now);
  [[gnu::cold]] Hope look_beside_error(QueryHandle handle, TimePoint now);
  [[gnu::cold]] Hope wait_for_any(QueryHandle handle, bool suspects_only, TimePoint now);
  [[gnu::cold]] bool wait_for_trial(QueryHandle handle, bool urgent, TimePoint now);
  [[gnu::cold]] UpstreamMask mute_upstreams(const Query& query, TimePoint now);

  const RelayConfig& config_;
  const Duration patience_;
  Counters& counters_;
  Log& log_;
  Slab<Query>& queries_;
  UpstreamSet& upstreams_;
  ConnectionPool& pool_;
  Experience& experience_;
  Planner planner_;
  QueryChecks checks_;
  WaitingQueries waiting_;
  Outages outages_;
};

}  // namespace dotrelay
