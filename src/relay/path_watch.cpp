// See path_watch.hpp.
#include "relay/path_watch.hpp"

#include <algorithm>

namespace dotrelay {

PathWatch::Verdict PathWatch::look(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  AcknowledgementDelay& delay = upstreams_.address(pooled.index()).acknowledgement_delay;
  const PathState path = pooled.connection->path(now, delay.get(now));
  pooled.slow_path.measured(path.round_trip, patience_, config_.deadline);
  constexpr Duration kLeast = std::chrono::milliseconds(2);
  pooled.look_at = path.look_again == Duration{} ? kNever : now + std::max<Duration>(path.look_again, kLeast);
  if (path.late > Duration{} && delay.learn(path.late, now)) {
    log_.info("upstream " + upstreams_.label(pooled.index()) + ": acknowledges late, it is given " +
              to_text(delay.get(now)) + " more");
  }
  if (!path.silent) return pooled.suspicion.active() ? clear(handle, now) : Verdict{};
  if (!pooled.suspicion.active()) return suspect(handle, now);
  return pooled.suspicion.confirmed(experience_.latest_proof(), now) ? give_up(handle, now) : Verdict{};
}

PathWatch::Verdict PathWatch::look_at_living(ConnectionHandle handle, TimePoint now) {
  const Verdict verdict = look(handle, now);  // for what there is to learn
  return verdict.kind == Verdict::Kind::unchanged ? clear(handle, now) : verdict;
}

PathWatch::Verdict PathWatch::suspect(ConnectionHandle handle, TimePoint now) {
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
  for (const ConnectionHandle other : pool_.idle_siblings(handle)) {
    PooledConnection& idle = upstreams_.connections().get(other);
    if (idle.rules(now).is_doubtful) continue;
    idle.mute_at = now;
    idle.doubted = true;
  }
  upstreams_.publish(index, now);
  lending_.dismiss(handle);
  if (address.dials == 0 && upstreams_.may_dial_beside(index) && address.health.trial_due(now) &&
      !upstreams_.has_usable(index, now) && address.last_dial + Health::kUrgentInterval <= now) {
    address.health.claim_trial(now);
    pool_.dial(index, now);
  }
  return {Verdict::Kind::suspected, now};
}

PathWatch::Verdict PathWatch::clear(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  Health& health = upstreams_.address(index).health;
  const TimePoint since = pooled.suspicion.since();
  pool_.end_suspicion(handle, now);
  // What it says of the address counts again, as before.
  if (const auto noted = pooled.suspicion.noted(); noted && health.withdraw(*noted, now)) {
    for (const ConnectionHandle other : upstreams_[index.upstream].connections) {
      PooledConnection& same = upstreams_.connections().get(other);
      if (same.address == index.address && !same.borrowed()) same.epoch = *noted;
    }
  }
  upstreams_.publish(index, now);
  return {Verdict::Kind::cleared, since};
}

/// Nothing has come, and another connection has shown that it could have.
PathWatch::Verdict PathWatch::give_up(ConnectionHandle handle, TimePoint now) {
  counters_.add(Counter::upstream_silent);
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  // What one event does to many connections and workers is told once.
  if (pooled.suspicion.noted())
    log_.info("upstream " + upstreams_.label(pooled.index()) + ": its connection went silent, another was made");
  for (const ConnectionHandle other : pool_.idle_siblings(handle)) {
    if (upstreams_.connections().get(other).doubted)
      pool_.close(other, {CloseKind::dropped, "another connection went silent"}, now);
  }
  pool_.close(handle, {CloseKind::silent, "connection timed out"}, now);
  return {Verdict::Kind::given_up, {}};
}

}  // namespace dotrelay
