// See connection_pool.hpp. How connections begin and come to their time limits; how they end is in
// connection_endings.cpp.
#include "relay/connection_pool.hpp"

#include "relay/failure_cause.hpp"

#include <algorithm>

namespace dotrelay {

ConnectionPool::ConnectionPool(const Environment& environment, Slab<Query>& queries, UpstreamSet& upstreams,
                               Lending& lending, Experience& experience)
    : config_(environment.config.relay),
      patience_(environment.patience()),
      dialer_(environment.dialer),
      counters_(environment.counters),
      log_(environment.log),
      queries_(queries),
      upstreams_(upstreams),
      lending_(lending),
      experience_(experience),
      borrowing_(environment, upstreams),
      trials_(upstreams) {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) {
      upstreams_.address({i, j}).health.note_first_way(dialer_.way_to(i, j));
    }
  }
}

ConnectionHandle ConnectionPool::dial(AddressIndex target, TimePoint now) {
  counters_.add(Counter::upstream_dials);
  const ConnectionHandle handle = upstreams_.add(target, now);
  PooledConnection& pooled = upstreams_.connections().get(handle);
  pooled.segment_limit = upstreams_.address(target).segments.get(now);
  pooled.handshake_look_at = now + SegmentLimit::kLook;
  pooled.connection = dialer_.dial(target.upstream, target.address, handle, pooled.segment_limit);
  return handle;
}

void ConnectionPool::start_trials(const std::vector<AddressIndex>& due, bool urgent, TimePoint now) {
  for (const AddressIndex target : due) {
    if (trials_.claim(target, urgent, now)) dial(target, now);
  }
}

void ConnectionPool::try_all(UpstreamMask among, bool urgent, TimePoint now) {
  if (urgent) trials_.note_handshakes(now);
  start_trials(urgent ? trials_.urgent(among, now) : trials_.due(among, std::nullopt, now), urgent, now);
}

void ConnectionPool::measure(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  if (pooled.connection->state() == Connection::State::closed) return;
  const Duration round_trip = pooled.connection->path(now, {}).round_trip;
  if (round_trip == Duration{}) return;
  pooled.measured = true;
  pooled.dial_until = std::max(pooled.dial_until, now + SlowPath::handshake_limit(round_trip));
  pooled.slow_path.measured(round_trip, patience_, config_.deadline);
}

void ConnectionPool::on_ready(ConnectionHandle handle, TimePoint now) {
  upstreams_.mark_ready(handle, now);
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  UpstreamAddress& address = upstreams_.address(index);
  if (!address.ever_ready) {
    log_.info("upstream " + upstreams_.label(index) + ": ready, " + pooled.connection->description());
  } else if (log_.enabled(LogLevel::debug)) {
    log_.debug("upstream " + upstreams_.label(index) + ": connected, " + pooled.connection->description());
  }
  address.ever_ready = true;
  news_.usable.add(index.upstream);
  drop_borrowed(index, now);
  if (address.segments.on_ready(pooled.segment_limit, now)) on_large_packets_lost(handle, now);
  close_surplus_dials(index.upstream, now);
  close_renewed(handle, now);
  if (const ConnectionHandle surplus = upstreams_.surplus_connection(handle, now)) {
    close(surplus, {CloseKind::dropped, "there are enough"}, now);
  }
}

/// The connection was made with small segments, beside others whose handshakes do not go on with larger ones.
void ConnectionPool::on_large_packets_lost(ConnectionHandle made, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(made);
  const AddressIndex index = pooled.index();
  const std::uint16_t limit = pooled.segment_limit;
  log_.warning("upstream " + upstreams_.label(index) + ": " + std::string(kLargePacketsLost) +
               "; for an hour its connections use segments of at most " + std::to_string(limit) + " octets");
  for (const ConnectionHandle handle : std::vector(upstreams_[index.upstream].connections)) {
    const PooledConnection* const other = upstreams_.connections().find(handle);
    if (other == nullptr || other->ready || other->address != index.address) continue;
    if (other->segment_limit != 0 && other->segment_limit <= limit) continue;
    close(handle, {CloseKind::dropped, std::string(kLargePacketsLost)}, now);
  }
}

std::vector<ConnectionHandle> ConnectionPool::idle_siblings(ConnectionHandle handle) const {
  const AddressIndex index = upstreams_.connections().get(handle).index();
  std::vector<ConnectionHandle> idle = upstreams_[index.upstream].connections;
  std::erase_if(idle, [&](ConnectionHandle other) {
    const PooledConnection& pooled = upstreams_.connections().get(other);
    return other == handle || !pooled.ready || pooled.address != index.address || pooled.pending.live() > 0;
  });
  return idle;
}

void ConnectionPool::end_suspicion(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  pooled.suspicion.end();
  pooled.mute_at = pooled.pending.live() > 0 ? now + pooled.slow_path.patience() : kNever;
  for (const ConnectionHandle other : idle_siblings(handle)) {
    PooledConnection& idle = upstreams_.connections().get(other);
    if (std::exchange(idle.doubted, false)) idle.mute_at = kNever;
  }
}

ConnectionPool::Due ConnectionPool::due(TimePoint now) {
  Due due;
  if (borrowing_.awaits_sibling(now)) news_.look_again = true;
  upstreams_.connections().for_each([&](ConnectionHandle handle, PooledConnection& pooled) {
    if (!pooled.ready) {
      if (now >= pooled.dial_until) due.timed_out.push_back(handle);
      if (!pooled.slow && now >= pooled.slow_at) pooled.slow = news_.look_again = true;
      if (now >= pooled.handshake_look_at) due.handshaking.push_back(handle);
      return;
    }
    if (now >= pooled.look_at) due.unsure.push_back(handle);
    if (now >= pooled.useless_at) due.useless.push_back(handle);
    if (pooled.pending.live() > 0) return;
    if (pooled.worn_out() || now >= pooled.idle_end(upstreams_.address(pooled.index()).idle_close.limit())) {
      due.idle.push_back(handle);
    }
  });
  return due;
}

void ConnectionPool::end_dials(const Due& due, TimePoint now) {
  for (const ConnectionHandle handle : due.timed_out) {
    close(handle, {CloseKind::timed_out, "connection timed out"}, now);
  }
  for (const ConnectionHandle handle : due.handshaking) {
    if (upstreams_.connections().find(handle) != nullptr) look_at_handshake(handle, now);
  }
}

void ConnectionPool::end_idle(const Due& due, TimePoint now) {
  for (const ConnectionHandle handle : due.useless) {
    if (upstreams_.connections().find(handle) != nullptr) close(handle, {CloseKind::dropped, "no answers"}, now);
  }
  for (const ConnectionHandle handle : due.idle) {
    // What happened since due() may have given it a query.
    const PooledConnection* const pooled = upstreams_.connections().find(handle);
    if (pooled != nullptr && pooled->pending.live() == 0) on_idle(handle, now);
  }
}

/// A handshake that does not go on, though the way there works: large packets may be lost on the way back.
void ConnectionPool::look_at_handshake(ConnectionHandle handle, TimePoint now) {
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
void ConnectionPool::on_idle(ConnectionHandle handle, TimePoint now) {
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

/// Opens a connection in place of one that has come to its end, if the next query is to be expected within `lifetime`.
void ConnectionPool::renew(ConnectionHandle handle, Duration lifetime, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  const std::uint8_t unused = pooled.answered ? 0 : static_cast<std::uint8_t>(pooled.unused_renewals + 1);
  const UpstreamAddress& address = upstreams_.address(index);
  if (unused >= Upstream::kMaxUnusedRenewals || address.dials > 0 || address.health.in_trouble()) return;
  if (!upstreams_.may_dial_beside(index)) return;
  if (!upstreams_[index.upstream].expects_query(lifetime, now)) return;
  // Where places are short, an idle worker gives its own away.
  if (borrowing_.limited(index, now)) return;
  pooled.renewed = true;
  upstreams_.connections().get(dial(index, now)).unused_renewals = unused;
}

}  // namespace dotrelay
