// When to look what has become of a query that was sent, and whether it may be asked elsewhere by then although its
// upstream may still answer: at its usual time within the budget for hedging, and in any case when patience is over.
#pragma once

#include "base/clock.hpp"
#include "base/due_wheel.hpp"
#include "metrics/counters.hpp"
#include "relay/environment.hpp"
#include "relay/hedge_budget.hpp"
#include "relay/query.hpp"
#include "relay/upstream_set.hpp"

#include <utility>

namespace dotrelay {

class QueryChecks {
 public:
  /// A late query for which the budget has nothing left looks again so often.
  static constexpr Duration kHedgeInterval = std::chrono::milliseconds(25);

  /// The references outlive the object.
  QueryChecks(const Environment& environment, Slab<Query>& queries, UpstreamSet& upstreams);

  /// The query is sent on `path`; its attempt is the latest. Looks again when the upstream's usual time is over, if
  /// hedging is possible, else when patience is.
  void on_sent(QueryHandle handle, Query& query, const SlowPath& path, TimePoint now);

  /// A query is sent for the first time: it adds to the budget.
  void on_first_sending() { hedge_budget_.on_query(); }
  /// The query, which holds_hedge, is about to be sent.
  [[gnu::cold]] void spend_hedge(Query& query);

  /// The query is to be looked at then, and not before.
  void set(QueryHandle handle, TimePoint when, TimePoint now) {
    wheel_.remove(handle);
    wheel_.add(handle, when, now);
  }
  /// It is looked at in one patience, unless it is earlier.
  void ensure(QueryHandle handle, TimePoint now) {
    if (!wheel_.contains(handle)) wheel_.add(handle, now + patience_, now);
  }
  [[nodiscard]] bool contains(QueryHandle handle) const { return wheel_.contains(handle); }
  void remove(QueryHandle handle) { wheel_.remove(handle); }
  /// The query has come to its end.
  void end(QueryHandle handle, Query& query) {
    if (std::exchange(query.holds_hedge, false)) hedge_budget_.give_back();
    wheel_.remove(handle);
  }

  /// A query to look at, or none. It stays until it is removed.
  [[nodiscard]] QueryHandle due(TimePoint now) { return wheel_.due(now); }
  [[nodiscard]] TimePoint next() { return wheel_.next(); }

  enum class Verdict : std::uint8_t {
    early,  ///< it is looked at again
    late,   ///< it may be asked elsewhere, and is looked at again when patience is over
    over,   ///< patience is over
  };
  /// What became of a query that has no answer yet, and was removed.
  [[gnu::cold]] Verdict judge(QueryHandle handle, TimePoint now);

 private:
  void mark_late(Query& query, TimePoint now);
  bool may_hedge(Query& query);

  const RelayConfig& config_;
  const Duration patience_;
  Counters& counters_;
  Slab<Query>& queries_;
  UpstreamSet& upstreams_;
  DueWheel<Query, &Query::check> wheel_;
  HedgeBudget hedge_budget_;
};

}  // namespace dotrelay
