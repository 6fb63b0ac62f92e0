// See forwarder.hpp. What passing time brings: deadlines, late answers, paths that went silent, idle connections, and
// the network under the relay changing.
#include "relay/forwarder.hpp"

#include <algorithm>

namespace dotrelay {

void Forwarder::on_timer(TimePoint now) {
  notice_time(now);
  if (clients_.portion_is_due(now)) tell_postponed(now);
  expire(now);
  while (const QueryHandle due = checks_.due(now)) on_check(due, now);
  check_connections(now);
  while (const auto slowed = experience_.check_expected(now)) ask_elsewhere_too(*slowed, now);
  lending_.expire(now);
  if (now - published_at_ >= kTick) {
    published_at_ = now;
    upstreams_.publish_all(now);
  }
  if (upstreams_.awaits_sibling(now) && !waiting_.empty()) reroute_waiting_in_time(now);
  if (const UpstreamMask urgent = waiting_.urgent(); !urgent.empty()) start_trials(urgent, std::nullopt, true, now);
}

TimePoint Forwarder::next_timeout(TimePoint now) {
  TimePoint next = upstreams_.next_event(waiting_.urgent(), now);
  next = std::min({next, clients_.next_event(), checks_.next(), waiting_.walk_due(), experience_.next_event(),
                   lending_.next_expiry()});
  if (!upstreams_.connections().empty()) next = std::min(next, last_seen_ + kTick);
  return next;
}

void Forwarder::expire(TimePoint now) {
  while (const WaiterHandle waiter = clients_.expired(now)) fail_waiter(waiter, now);
}

/// Called before anything else happens, so that no query is sent where nobody listens any more.
void Forwarder::notice_time(TimePoint now) {
  if (now == last_seen_) return;  // callbacks of one turn have one time
  const bool has_slept = is_gap(now);
  last_seen_ = now;
  clients_.begin_turn();
  if (has_slept) on_sleep(now);
}

/// Whether the process or the machine has slept since time was noticed last.
bool Forwarder::is_gap(TimePoint now) const {
  return now - last_seen_ >= kClockGap && !upstreams_.connections().empty();
}

void Forwarder::on_sleep(TimePoint now) {
  expire(now);
  outages_.restart(now);
  forget_connections(true, "the relay was asleep", now);
}

void Forwarder::on_network_change(TimePoint now) {
  notice_time(now);
  forget_connections(false, "the network has changed", now);
}

void Forwarder::on_clock_set(TimePoint now) {
  notice_time(now);
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (UpstreamAddress& address : upstreams_[i].addresses) {
      if (address.health.trouble() == Trouble::authentication) address.health.retry_now(now);
    }
  }
  start_trials(upstreams_.everyone(), std::nullopt, false, now);
}

/// Drops all connections, or those that the kernel would now make in another way, and tries at once what was waiting
/// for its back-off on such a way.
void Forwarder::forget_connections(bool all, std::string_view why, TimePoint now) {
  std::vector<ConnectionHandle> lost;
  upstreams_.connections().for_each([&](ConnectionHandle handle, PooledConnection& pooled) {
    if (all || pooled.connection->route_has_changed()) lost.push_back(handle);
  });
  // All are taken down before any query is sent again: it must not meet the next one that is lost.
  std::vector<QueryHandle> unanswered;
  for (const ConnectionHandle handle : lost) {
    const std::vector<QueryHandle> left = take_down(handle, now);
    unanswered.insert(unanswered.end(), left.begin(), left.end());
  }
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) {
      // Most events are about other ways (containers that start). The first worker that sees a change tries.
      UpstreamAddress& address = upstreams_[i].addresses[j];
      const bool other_way = address.health.takes_way(dialer_.way_to(i, j));
      if (all || !lost.empty() || other_way) address.last_dial = TimePoint::min();
      if (!all && !other_way) continue;
      if (!address.health.degraded()) address.health.retry_now(now);
      outages_.restart(now);
    }
  }
  if (!lost.empty()) log_.info(std::string(why) + ": " + std::to_string(lost.size()) + " upstream connections dropped");
  for (const QueryHandle query : unanswered) {
    Query* const left = queries_.find(query);
    if (left == nullptr || !left->attempts.empty()) continue;
    // It has no answer, and its upstreams had no chance: all may be asked again.
    left->candidates.reopen_all();
    checks_.remove(query);
    proceed(query, now);
  }
  if (!waiting_.empty()) reroute_waiting(now);
}

/// Looks again when the upstream's usual time is over, if hedging is possible, else when patience is.
void Forwarder::schedule_check(QueryHandle handle, Query& query, const SlowPath& path, TimePoint now) {
  // The slower the path, the longer it may take; but each upstream is to have its turn, also when this one was asked
  // late.
  const TimePoint last_turn = std::max(now + patience_, query.began_at + config_.relay.deadline * 3 / 4);
  query.patience_end = std::min(now + path.patience(), last_turn);
  // Later than `slow` is late by configuration; and by then another query may have shown that the upstream is slow.
  const Duration usual = std::max(
      path.soonest_answer(), std::min(upstreams_[query.attempts.back().upstream].usual_time.get(), config_.relay.slow));
  const auto counts = [](const Attempt& attempt) { return !attempt.trial && !attempt.suspect; };
  const bool first = std::ranges::count_if(query.attempts, counts) == 1;
  query.hedge_at = now + usual;
  query.hedge_next =
      first && query.hedge_at < query.patience_end && hedge_budget_.enabled() && query.candidates.eligible().size() > 1;
  checks_.remove(handle);
  checks_.add(handle, query.hedge_next ? query.hedge_at : query.patience_end, now);
}

/// The query was asked a while ago, and has no answer yet.
void Forwarder::on_check(QueryHandle handle, TimePoint now) {
  checks_.remove(handle);
  Query& query = queries_.get(handle);
  if (query.attempts.empty()) {
    // It waits for a connection. When that is its last hope, it does not for ever.
    if (query.last_hope != TimePoint{}) return proceed(handle, now);
    if (has_waited_in_outage(query, now)) give_up(handle, now);
    return;
  }
  // The wheel's horizon is shorter than the patience on a slow path.
  if (const TimePoint due = query.hedge_next ? query.hedge_at : query.patience_end; now < due)
    return checks_.add(handle, due, now);
  mark_late(query, now);
  const TimePoint patience_end = query.patience_end;
  if (query.hedge_next && now < patience_end) {
    if (may_hedge(query)) {
      query.hedge_next = false;
      checks_.add(handle, patience_end, now);
      return ask_next_too(handle, now);
    }
    checks_.add(handle, std::min(patience_end, now + kHedgeInterval), now);
    return;
  }
  const std::uint8_t sendings = query.sendings;
  ask_next_too(handle, now);
  if (Query* const left = queries_.find(handle); left != nullptr && left->sendings == sendings) repeat(handle, now);
  // Nobody else to ask: look again later.
  Query* const left = queries_.find(handle);
  if (left == nullptr || left->attempts.empty() || checks_.contains(handle)) return;
  checks_.add(handle, now + patience_, now);
}

/// Nobody else is to be asked: perhaps only this query was lost, so it is sent there once more. Not oftener, for
/// upstreams may be late because they are overloaded.
void Forwarder::repeat(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (query.attempts.empty() || upstreams_.prompt_dials_until(query.candidates.open(), now) > now) return;
  if (std::exchange(query.repeated, true) || !query.may_be_sent()) return;
  for (const Attempt& attempt : query.attempts) query.candidates.reopen(attempt.upstream);
  proceed(handle, now);
}

void Forwarder::mark_late(Query& query, TimePoint now) {
  for (Attempt& attempt : query.attempts) {
    if (attempt.trial || std::exchange(attempt.late, true)) continue;
    UsualTime& usual_time = upstreams_[attempt.upstream].usual_time;
    if (now - attempt.sent_at >= usual_time.get()) usual_time.on_late();
  }
}

/// Whether a late query may be asked elsewhere before patience is over: within the budget, or because another query or
/// another worker has found out meanwhile that its upstream is slow.
bool Forwarder::may_hedge(Query& query) {
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

/// Asks the next upstream as well; the first answer counts.
void Forwarder::ask_next_too(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  for (const Attempt& attempt : query.attempts) query.candidates.rule_out(attempt.upstream);
  proceed(handle, now);
}

/// Those that wait at an upstream which has turned out to be slow are asked elsewhere as well, as if the connection had
/// died.
void Forwarder::ask_elsewhere_too(const Experience::Slowed& slowed, TimePoint now) {
  for (const QueryHandle handle : slowed.queries) {
    const Query* const query = queries_.find(handle);
    if (query == nullptr) continue;
    const auto elsewhere = [&](const Attempt& attempt) {
      return !attempt.trial && attempt.upstream != slowed.upstream;
    };
    if (std::ranges::none_of(query->attempts, elsewhere)) ask_next_too(handle, now);
  }
}

void Forwarder::check_connections(TimePoint now) {
  std::vector<ConnectionHandle> timed_out;
  std::vector<ConnectionHandle> idle;
  std::vector<ConnectionHandle> unsure;
  std::vector<ConnectionHandle> useless;
  std::vector<ConnectionHandle> handshaking;
  bool look_again = false;
  upstreams_.connections().for_each([&](ConnectionHandle handle, PooledConnection& pooled) {
    if (!pooled.ready) {
      if (now >= pooled.dial_until) timed_out.push_back(handle);
      if (!pooled.slow && now >= pooled.slow_at) pooled.slow = look_again = true;
      if (now >= pooled.handshake_look_at) handshaking.push_back(handle);
      return;
    }
    if (now >= pooled.look_at) unsure.push_back(handle);
    if (now >= pooled.useless_at) useless.push_back(handle);
    if (pooled.pending.live() > 0) return;
    if (pooled.worn_out() || now >= pooled.idle_end(upstreams_.address(pooled.index()).idle_close.limit())) {
      idle.push_back(handle);
    }
  });
  for (const ConnectionHandle handle : timed_out) close(handle, {CloseKind::timed_out, "connection timed out"}, now);
  for (const ConnectionHandle handle : handshaking) {
    if (upstreams_.connections().find(handle) != nullptr) look_at_handshake(handle, now);
  }
  for (const ConnectionHandle handle : unsure) {
    if (upstreams_.connections().find(handle) != nullptr) look_at_path(handle, now);
  }
  for (const ConnectionHandle handle : useless) {
    if (upstreams_.connections().find(handle) != nullptr) close(handle, {CloseKind::dropped, "no answers"}, now);
  }
  for (const ConnectionHandle handle : idle) {
    // What was closed above may have left it a query.
    const PooledConnection* const pooled = upstreams_.connections().find(handle);
    if (pooled != nullptr && pooled->pending.live() == 0) on_idle(handle, now);
  }
  if (look_again || now >= waiting_.walk_due()) reroute_waiting_in_time(now);
}

/// A handshake that does not go on, though the way there works: large packets may be lost on the way back.
void Forwarder::look_at_handshake(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const bool stalled = pooled.connection->handshake_silence(now) >= SegmentLimit::kStall;
  pooled.handshake_look_at = stalled ? kNever : now + SegmentLimit::kLook;
  if (!stalled) return;
  const AddressIndex index = pooled.index();
  if (!upstreams_.address(index).segments.on_stall(pooled.segment_limit, now)) return;
  counters_.add(Counter::upstream_stalled_handshakes);
  if (upstreams_.may_dial_beside(index)) dial(index, now);
}

/// The connection has been idle for as long as the server usually grants. When the next query is to be expected soon,
/// another takes its place before the server closes it; else it is closed.
void Forwarder::on_idle(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  IdleClose& idle_close = upstreams_.address(pooled.index()).idle_close;
  if (pooled.worn_out()) return close_worn(handle, now);
  if (idle_close.known() && !pooled.renewed && !pooled.borrowed()) {
    const Duration lifetime = idle_close.limit();
    idle_close.on_own_close();
    renew(handle, lifetime, now);
    if (pooled.renewed) return;
  }
  close(handle, {CloseKind::dropped, "idle"}, now);
}

void Forwarder::on_server_closed_idle(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const Duration idle = now - pooled.idle_since;
  upstreams_.address(pooled.index()).idle_close.on_server_closed(idle);
  if (!pooled.renewed) renew(handle, idle, now);
}

/// Opens a connection in place of one that has come to its end, if the next query is to be expected within `lifetime`.
void Forwarder::renew(ConnectionHandle handle, Duration lifetime, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  const std::uint8_t unused = pooled.answered ? 0 : static_cast<std::uint8_t>(pooled.unused_renewals + 1);
  const UpstreamAddress& address = upstreams_.address(index);
  if (unused >= Upstream::kMaxUnusedRenewals || address.dials > 0 || address.health.in_trouble()) return;
  if (!upstreams_.may_dial_beside(index)) return;
  if (!upstreams_[index.upstream].expects_query(lifetime, now)) return;
  // Where places are short, an idle worker gives its own away.
  if (upstreams_.limited(index, now)) return;
  pooled.renewed = true;
  upstreams_.connections().get(dial(index, now)).unused_renewals = unused;
}

}  // namespace dotrelay
