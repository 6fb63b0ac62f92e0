// See planner.hpp.
#include "relay/planner.hpp"

#include <algorithm>

namespace dotrelay {

Plan Planner::plan(const Candidates& candidates, bool patient, TimePoint now) const {
  Plan plan = choose(candidates, patient, now);
  if (plan.next == Plan::Next::nothing) {
    plan.trials = trials_.due(candidates.order(), std::nullopt, now);
  } else if (plan.target != AddressIndex{candidates.order().first(), 0} ||
             upstreams_.address(plan.target).health.in_trouble()) {
    plan.trials = trials_.due(candidates.order(), plan.target, now);
    if (plan.next == Plan::Next::send)
      plan.copy = trials_.copy(candidates.open_in_order(), plan.target, plan.trials, now);
  }
  return plan;
}

Plan Planner::choose(const Candidates& candidates, bool patient, TimePoint now) const {
  const UpstreamMask open = candidates.open();
  const auto connected = [&](const PooledConnection& connection) {
    return !upstreams_.address(connection.index()).health.degraded();
  };
  Plan unproven;
  Plan to_wait;
  for (const std::size_t i : candidates.order()) {
    if (!open.contains(i)) continue;
    // Returned as it is made: copying what has just been put together stalls the processor.
    if (const ConnectionHandle ready = trusted_connection(i, candidates.fresh_since(i), now)) {
      return {Plan::Next::send, ready, upstreams_.connections().get(ready).index()};
    }
    if (unproven.next == Plan::Next::nothing) {
      if (const ConnectionHandle ready =
              upstreams_.best_ready(upstreams_[i], candidates.fresh_since(i), now, connected)) {
        unproven = {Plan::Next::send, ready, upstreams_.connections().get(ready).index()};
      }
    }
    // A fresh connection to one that was in trouble beats waiting for one to another address.
    if (to_wait.next == Plan::Next::nothing) to_wait = wait_or_dial(i, now);
    if (to_wait.next != Plan::Next::nothing && patient) break;
  }
  if (to_wait.next != Plan::Next::nothing) return unproven.next == Plan::Next::send ? unproven : to_wait;
  return choose_second_best(candidates, now);
}

/// Nothing is good.
Plan Planner::choose_second_best(const Candidates& candidates, TimePoint now) const {
  const UpstreamMask open = candidates.open();
  for (const std::size_t i : candidates.order()) {
    if (!open.contains(i)) continue;
    // In trouble, but connected: better than nothing.
    const auto any = [](const PooledConnection&) { return true; };
    if (const ConnectionHandle ready = upstreams_.best_ready(upstreams_[i], candidates.fresh_since(i), now, any)) {
      return {Plan::Next::send, ready, upstreams_.connections().get(ready).index()};
    }
  }
  for (const std::size_t i : candidates.order()) {
    if (!open.contains(i)) continue;
    if (Plan plan = choose_unsettled(i, now); plan.next != Plan::Next::nothing) return plan;
  }
  return {};
}

/// A ready connection to an upstream that is well.
ConnectionHandle Planner::trusted_connection(std::size_t index, TimePoint fresh_since, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  // A connection that has brought answers is good, whatever became of other ones.
  const auto good = [&](const PooledConnection& connection) {
    const Health& health = upstream.addresses[connection.address].health;
    return connection.answered ? !health.degraded() : !health.in_trouble();
  };
  return upstreams_.best_ready(upstream, fresh_since, now, good);
}

/// An upstream that is well: a connection to wait for, or to make.
Plan Planner::wait_or_dial(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  for (const ConnectionHandle handle : upstream.connections) {
    const PooledConnection& connection = upstreams_.connections().get(handle);
    if (!connection.ready && now < connection.slow_at && upstream.addresses[connection.address].health.settled(now))
      return {Plan::Next::wait, {}, {index, connection.address}};
  }
  if (upstreams_.count(upstream, &StandingRules::holds_place, now) >= UpstreamSet::kMaxConnections) return {};
  return dial_settled(index, now);
}

/// The first address that is well and may be dialled, rather one without a connection that is doubtful.
Plan Planner::dial_settled(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  const auto settled = [&](const UpstreamAddress& address) { return address.health.settled(now); };
  Plan dial;
  for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
    if (!settled(upstream.addresses[j])) continue;
    if (borrowing_.must_borrow({index, j}, now)) return {Plan::Next::borrow, {}, {index, j}};
    if (borrowing_.awaits_dial({index, j}, now)) return {Plan::Next::wait, {}, {index, j}};
    if (!may_dial({index, j}, now)) continue;
    // A slow dial or a mute connection makes the next address of the same upstream the next candidate.
    const bool better = !upstreams_.has({index, j}, &StandingRules::is_doubtful, now);
    if (better || dial.next == Plan::Next::nothing) dial = {Plan::Next::dial, {}, {index, j}};
    if (better) break;
  }
  // While the own dial is slow in coming and no other address can be dialled: a sibling's connection.
  for (std::size_t j = 0; j < upstream.addresses.size() && dial.next == Plan::Next::nothing; ++j) {
    if (settled(upstream.addresses[j]) && borrowing_.may_borrow({index, j}, now))
      return {Plan::Next::borrow, {}, {index, j}};
  }
  return dial;
}

/// An upstream that was in trouble a moment ago: worth waiting for only when there is nothing better.
Plan Planner::choose_unsettled(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  if (upstreams_.prompt_dials_until(upstream, now) > now) return {Plan::Next::wait, {}, {index, 0}};
  if (upstreams_.count(upstream, &StandingRules::holds_place, now) >= UpstreamSet::kMaxConnections) return {};
  for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
    if (upstream.addresses[j].health.in_trouble()) continue;
    if (borrowing_.may_borrow({index, j}, now)) return {Plan::Next::borrow, {}, {index, j}};
    if (may_dial({index, j}, now)) return {Plan::Next::dial, {}, {index, j}};
  }
  return {};
}

/// There is no dial to it and room for one, its server has not just refused a connection beside one that works, and no
/// connection to the upstream has been replaced just now.
bool Planner::may_dial(AddressIndex index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index.upstream];
  const UpstreamAddress& address = upstream.addresses[index.address];
  if (address.dials > 0 || !upstreams_.may_dial_beside(index) || now < upstreams_.next_replacement(upstream, now))
    return false;
  if (now >= address.no_more_until) return true;
  // Beside one that takes no more queries it is tried again, not at once.
  return !upstreams_.has(index, &StandingRules::takes_queries, now) &&
         now >= address.last_dial + Health::kUrgentInterval;
}

std::optional<AddressIndex> Planner::wants_more(ConnectionHandle used, TimePoint now) const {
  if (upstreams_.connections().get(used).pending.live() < UpstreamSet::kComfortableLoad) return std::nullopt;
  const Upstream& upstream = upstreams_[upstreams_.connections().get(used).upstream];
  if (upstream.connections.size() >= UpstreamSet::kMaxConnections || UpstreamSet::count_dials(upstream) > 0)
    return std::nullopt;
  const ConnectionHandle best = upstreams_.best_ready(upstream, {}, now, [](const PooledConnection&) { return true; });
  if (!best) return std::nullopt;
  const PooledConnection& connection = upstreams_.connections().get(best);
  if (connection.pending.live() < UpstreamSet::kComfortableLoad) return std::nullopt;
  if (now < upstream.addresses[connection.address].no_more_until || connection.borrowed()) return std::nullopt;
  if (borrowing_.limited(connection.index(), now)) return std::nullopt;
  return connection.index();
}

TimePoint Planner::prompt_dials_until(UpstreamMask among, TimePoint now) const {
  TimePoint until = now;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (among.contains(i)) until = std::max(until, upstreams_.prompt_dials_until(upstreams_[i], now));
  }
  return until;
}

TimePoint Planner::hope_until(UpstreamMask among, TimePoint now) const {
  TimePoint until = now;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!among.contains(i)) continue;
    // One that waits for its turn to replace a connection may still be dialled.
    const TimePoint replacement = upstreams_.next_replacement(upstreams_[i], now);
    if (replacement > now && replacement != kNever)
      until = std::max(until, replacement + upstreams_[i].addresses.front().slow_dial());
    for (const ConnectionHandle handle : upstreams_[i].connections) {
      const PooledConnection& connection = upstreams_.connections().get(handle);
      if (connection.ready) continue;
      const bool unknown = upstreams_[i].addresses[connection.address].usual_dial == Duration{};
      until = std::max(until, unknown ? connection.dialled_at + patience_ : connection.slow_at);
    }
    // What a sibling dials can be borrowed, if it does not take long.
    for (const UpstreamAddress& address : upstreams_[i].addresses) {
      const Duration prompt = address.slow_dial();
      if (upstreams_.shared().sibling_dials(address.number, now - prompt)) until = std::max(until, now + prompt);
    }
  }
  return until;
}

bool Planner::worth_waiting(UpstreamMask among) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!among.contains(i)) continue;
    for (const UpstreamAddress& address : upstreams_[i].addresses) {
      if (address.dials > 0 || !address.health.hopeless()) return true;
    }
  }
  return false;
}

}  // namespace dotrelay
