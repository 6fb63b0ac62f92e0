// See forwarder.hpp. Paths that went silent: what is done while it is not known whether the path is dead or the peer
// acknowledges late, and when it is known.
#include "relay/forwarder.hpp"

#include <algorithm>

namespace dotrelay {

void Forwarder::look_at_path(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  AcknowledgementDelay& delay = upstreams_.address(pooled.index()).acknowledgement_delay;
  const PathState path = pooled.connection->path(now, delay.get(now));
  pooled.slow_path.measured(path.round_trip, patience_, config_.relay.deadline);
  constexpr Duration kLeast = std::chrono::milliseconds(2);
  pooled.look_at = path.look_again == Duration{} ? kNever : now + std::max<Duration>(path.look_again, kLeast);
  if (path.late > Duration{} && delay.learn(path.late, now)) {
    log_.info("upstream " + upstreams_.label(pooled.index()) + ": acknowledges late, it is given " +
              to_text(delay.get(now)) + " more");
  }
  if (!path.silent) {
    if (pooled.suspicion.active()) withdraw_suspicion(handle, now);
  } else if (!pooled.suspicion.active()) {
    suspect(handle, now);
  } else if (pooled.suspicion.confirmed(experience_.latest_proof(), now)) {
    give_up_suspect(handle, now);
  }
}

/// The address's other connections that owe nothing and are as old: only the next query would find out about them.
template <class Act>
void Forwarder::for_idle_siblings(ConnectionHandle handle, Act act) {
  const AddressIndex index = upstreams_.connections().get(handle).index();
  for (const ConnectionHandle other : std::vector(upstreams_[index.upstream].connections)) {
    PooledConnection& idle = upstreams_.connections().get(other);
    if (other != handle && idle.ready && idle.address == index.address && idle.pending.live() == 0) act(other, idle);
  }
}

/// What was sent there is asked elsewhere now, on a fresh connection to the address or at the next upstream, whichever
/// is ready first. The connection stays: its acknowledgements may come yet.
void Forwarder::suspect(ConnectionHandle handle, TimePoint now) {
  counters_.add(Counter::upstream_suspected);
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  UpstreamAddress& address = upstreams_.address(index);
  const Health::Epoch before = address.health.epoch();
  if (!address.health.in_trouble())
    experience_.note_trouble(index, Trouble::silent_path, "connection timed out", pooled.epoch, now);
  const Health::Epoch after = address.health.epoch();
  pooled.suspicion.begin(now, before != after ? std::optional(after) : std::nullopt);
  pooled.mute_at = now;
  for_idle_siblings(handle, [&](ConnectionHandle, PooledConnection& idle) {
    if (idle.rules(now).is_doubtful) return;
    idle.mute_at = now;
    idle.doubted = true;
  });
  upstreams_.publish(index, now);
  lending_.dismiss(handle);
  if (address.dials == 0 && upstreams_.may_dial_beside(index) && address.health.trial_due(now) &&
      !upstreams_.has_usable(index, now) && address.last_dial + Health::kUrgentInterval <= now) {
    address.health.claim_trial(now);
    dial(index, now);
  }
  for (const QueryHandle query : pooled.pending.live_queries()) {
    Query* const left = queries_.find(query);
    if (left == nullptr) continue;
    bool fresh = false;
    for (Attempt& attempt : left->attempts) {
      if (attempt.connection == handle) fresh = !std::exchange(attempt.suspect, true) || fresh;
    }
    if (fresh) retry_elsewhere(query, index.upstream, CloseKind::silent, now);
  }
}

/// The path lives: the peer acknowledges late, or the path has become slow.
void Forwarder::withdraw_suspicion(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  Health& health = upstreams_.address(index).health;
  const TimePoint since = pooled.suspicion.since();
  end_suspicion(handle, now);
  // What it says of the address counts again, as before.
  if (const auto noted = pooled.suspicion.noted(); noted && health.withdraw(*noted, now)) {
    for (const ConnectionHandle other : upstreams_[index.upstream].connections) {
      PooledConnection& same = upstreams_.connections().get(other);
      if (same.address == index.address && !same.borrowed()) same.epoch = *noted;
    }
  }
  for (const QueryHandle query : pooled.pending.live_queries()) {
    Query* const left = queries_.find(query);
    if (left == nullptr) continue;
    for (Attempt& attempt : left->attempts) {
      if (attempt.connection == handle) attempt.suspect = false;
    }
    // It waits for this connection again.
    waiting_.remove(query);
    if (!checks_.contains(query)) schedule_check(query, *left, pooled.slow_path, now);
  }
  upstreams_.publish(index, now);
  on_usable(index.upstream, now);
  reroute_waiting(now);
  if (!waiting_.empty()) return;
  // The fresh connection is not needed; but when suspicions come and go, dials that are given up each time would never
  // end, and one that comes to its end helps.
  UpstreamAddress& address = upstreams_.address(index);
  if (now - std::exchange(address.dial_spared_at, now) < kTick) return;
  for (const ConnectionHandle other : std::vector(upstreams_[index.upstream].connections)) {
    const PooledConnection* const dialled = upstreams_.connections().find(other);
    if (dialled == nullptr || dialled->ready || dialled->address != index.address || dialled->dialled_at < since)
      continue;
    close(other, {CloseKind::dropped, "not needed"}, now);
  }
}

/// Nothing has come, and another connection has shown that it could have.
void Forwarder::give_up_suspect(ConnectionHandle handle, TimePoint now) {
  counters_.add(Counter::upstream_silent);
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  // What one event does to many connections and workers is told once.
  if (pooled.suspicion.noted())
    log_.info("upstream " + upstreams_.label(pooled.index()) + ": its connection went silent, another was made");
  for_idle_siblings(handle, [&](ConnectionHandle other, const PooledConnection& idle) {
    if (idle.doubted) close(other, {CloseKind::dropped, "another connection went silent"}, now);
  });
  close(handle, {CloseKind::silent, "connection timed out"}, now);
}

void Forwarder::end_suspicion(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  pooled.suspicion.end();
  pooled.mute_at = pooled.pending.live() > 0 ? now + pooled.slow_path.patience() : kNever;
  for_idle_siblings(handle, [](ConnectionHandle, PooledConnection& idle) {
    if (std::exchange(idle.doubted, false)) idle.mute_at = kNever;
  });
}

}  // namespace dotrelay
