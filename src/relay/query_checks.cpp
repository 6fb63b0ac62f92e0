// See query_checks.hpp.
#include "relay/query_checks.hpp"

#include <algorithm>

namespace dotrelay {

QueryChecks::QueryChecks(const Environment& environment, Slab<Query>& queries, UpstreamSet& upstreams)
    : config_(environment.config.relay),
      patience_(environment.patience()),
      counters_(environment.counters),
      queries_(queries),
      upstreams_(upstreams),
      wheel_(queries),
      hedge_budget_(environment.config.relay.hedge) {}

void QueryChecks::on_sent(QueryHandle handle, Query& query, const SlowPath& path, TimePoint now) {
  // The slower the path, the longer it may take; but each upstream is to have its turn, also when this one was asked
  // late.
  const TimePoint last_turn = std::max(now + patience_, query.began_at + config_.deadline * 3 / 4);
  query.patience_end = std::min(now + path.patience(), last_turn);
  // Later than `slow` is late by configuration; and by then another query may have shown that the upstream is slow.
  const Duration usual = std::max(path.soonest_answer(),
                                  std::min(upstreams_[query.attempts.back().upstream].usual_time.get(), config_.slow));
  const auto counts = [](const Attempt& attempt) { return !attempt.trial && !attempt.suspect; };
  const bool first = std::ranges::count_if(query.attempts, counts) == 1;
  query.hedge_at = now + usual;
  query.hedge_next = first && query.hedge_at < query.patience_end && hedge_budget_.enabled() &&
                     query.candidates.eligible().has_several();
  set(handle, query.hedge_next ? query.hedge_at : query.patience_end, now);
}

void QueryChecks::spend_hedge(Query& query) {
  query.holds_hedge = false;
  // Alone it is no second sending: what it waited beside has ended meanwhile.
  query.attempts.empty() ? hedge_budget_.give_back() : counters_.add(Counter::upstream_hedged);
}

QueryChecks::Verdict QueryChecks::judge(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  // The wheel's horizon is shorter than the patience on a slow path.
  if (const TimePoint due = query.hedge_next ? query.hedge_at : query.patience_end; now < due) {
    wheel_.add(handle, due, now);
    return Verdict::early;
  }
  mark_late(query, now);
  if (!query.hedge_next || now >= query.patience_end) return Verdict::over;
  if (!may_hedge(query)) {
    wheel_.add(handle, std::min(query.patience_end, now + kHedgeInterval), now);
    return Verdict::early;
  }
  query.hedge_next = false;
  wheel_.add(handle, query.patience_end, now);
  return Verdict::late;
}

void QueryChecks::mark_late(Query& query, TimePoint now) {
  for (Attempt& attempt : query.attempts) {
    if (attempt.trial || std::exchange(attempt.late, true)) continue;
    UsualTime& usual_time = upstreams_[attempt.upstream].usual_time;
    if (now - attempt.sent_at >= usual_time.get()) usual_time.on_late();
  }
}

/// Whether a late query may be asked elsewhere before patience is over: within the budget, or because another query or
/// another worker has found out meanwhile that its upstream is slow.
bool QueryChecks::may_hedge(Query& query) {
  UpstreamMask others = query.candidates.open();
  bool known_slow = false;
  for (const Attempt& attempt : query.attempts) {
    others.remove(attempt.upstream);
    const PooledConnection& pooled = upstreams_.connections().get(attempt.connection);
    known_slow = known_slow || (!attempt.trial && upstreams_.address(pooled.index()).health.degraded());
  }
  if (others.empty()) return false;
  if (known_slow) return true;
  query.holds_hedge = query.holds_hedge || hedge_budget_.take();
  return query.holds_hedge;
}

}  // namespace dotrelay
