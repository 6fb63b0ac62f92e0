// See connection_pool.hpp. How connections end, and what that says of their addresses.
#include "relay/connection_pool.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// Ends that the peer or the way to it brings about. What has answered before ends normally by any of them: a fatal
/// alert or a KeyUpdate that the TLS library does not take, a time-out of TCP. The next connection shows whether more
/// is wrong.
bool ends_like_a_close(CloseKind kind, bool answered) {
  if (kind == CloseKind::closed_by_peer) return true;
  return answered && (kind == CloseKind::tls || kind == CloseKind::timed_out);
}

/// How a server that wants no further connection shows it: it refuses, closes, resets, or is silent.
bool refuses(CloseKind kind, bool answered) {
  return !answered &&
         (kind == CloseKind::unreachable || kind == CloseKind::timed_out || kind == CloseKind::closed_by_peer);
}

}  // namespace

void ConnectionPool::close(ConnectionHandle handle, const CloseReason& reason, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  if (pooled.borrowed()) return close_borrowed(handle, reason, now);
  const AddressIndex index = pooled.index();
  const bool owed = pooled.pending.live() > 0;
  const bool was_ready = pooled.ready;
  const bool was_suspect = pooled.suspicion.active();
  const bool answered = pooled.answered;
  const bool is_dial_failure = !was_ready && reason.kind != CloseKind::dropped;
  const bool closed_by_peer = ends_like_a_close(reason.kind, answered);
  if (is_dial_failure) counters_.add(Counter::upstream_dial_failures);
  const std::string told =
      was_ready && reason.kind == CloseKind::closed_by_peer ? "connection closed before the answer" : reason.text;
  if (is_dial_failure || owed) upstreams_[index.upstream].last_problem = upstreams_.label(index) + ": " + told;

  // Servers close idle connections, and some close after so many queries: that is no failure. One that closes on its
  // first queries without a single answer is.
  const bool is_failure = reason.kind != CloseKind::dropped && (!was_ready || !closed_by_peer || (owed && !answered));
  // One that hangs up as soon as a connection is ready may want none.
  const bool hung_up = was_ready && !owed && closed_by_peer && now - pooled.ready_at < IdleClose::kLeast;
  const bool beside = is_failure && !was_ready && upstreams_.has_own(index, now);
  const bool refused = (is_failure || hung_up) && !beside && refuses(reason.kind, answered) &&
                       borrowing_.on_refused(index, pooled.dialled_at, told, now);
  if (was_ready && !owed && closed_by_peer && !refused) on_server_closed_idle(handle, now);
  if (was_suspect) end_suspicion(handle, now);
  const Ending ending{.index = index,
                      .reason = {reason.kind, is_failure ? told : reason.text},
                      .epoch = pooled.epoch,
                      .dialled_at = pooled.dialled_at,
                      .was_ready = was_ready,
                      .is_failure = is_failure && !refused,
                      .beside = beside};
  // The address of a connection that was refused is well: a sibling's is as good as a fresh one.
  tell_lost({take_down(handle, now), index.upstream, reason.kind, !answered, was_suspect || refused});
  news_.look_again = news_.look_again || !was_ready;
  judge(ending, now);
}

void ConnectionPool::tell_lost(ConnectionNews::Lost lost) {
  if (!lost.queries.empty()) news_.lost.push_back(std::move(lost));
}

/// What the end of a connection says of its address.
void ConnectionPool::judge(const Ending& ending, TimePoint now) {
  UpstreamAddress& address = upstreams_.address(ending.index);
  if (ending.beside) address.no_more_until = now + Health::kMaxBackOff;
  if (ending.beside && !address.health.in_trouble()) {
    // The server does not want another connection beside those it serves: the address is well.
    log_.debug("upstream " + address.label + ": no further connection (" + ending.reason.text + ")");
  } else if (ending.is_failure && (ending.was_ready || !address.health.proven_since(ending.dialled_at, now))) {
    experience_.note_trouble(ending.index, trouble_of(ending.reason.kind), ending.reason.text, ending.epoch, now);
  } else if (log_.enabled(LogLevel::debug)) {
    log_.debug("upstream " + address.label + ": closed (" + ending.reason.text + ")");
  }
}

void ConnectionPool::on_server_closed_idle(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const Duration idle = now - pooled.idle_since;
  upstreams_.address(pooled.index()).idle_close.on_server_closed(idle);
  if (!pooled.renewed) renew(handle, idle, now);
}

/// The sibling lends no more, or its connection has ended.
void ConnectionPool::close_borrowed(ConnectionHandle handle, const CloseReason& reason, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  const std::size_t upstream = pooled.upstream;
  // What was refused has not been sent to the upstream.
  const bool fruitless = !pooled.answered && reason.kind != CloseKind::unreachable;
  tell_lost({take_down(handle, now), upstream, reason.kind, fruitless, false});
}

void ConnectionPool::drop_borrowed(AddressIndex index, TimePoint now) {
  if (!upstreams_.own_ready(index, now)) return;
  for (const ConnectionHandle handle : upstreams_.borrowed(index)) {
    if (upstreams_.connections().get(handle).pending.live() > 0) continue;
    close_borrowed(handle, {CloseKind::dropped, "there is an own connection"}, now);
  }
}

void ConnectionPool::close_worn(ConnectionHandle handle, TimePoint now) {
  counters_.add(Counter::upstream_retired);
  close(handle, {CloseKind::dropped, "too many unanswered queries"}, now);
}

void ConnectionPool::close_surplus_dials(std::size_t upstream, TimePoint now) {
  for (const ConnectionHandle dial : upstreams_.surplus_dials(upstream, now)) {
    if (upstreams_.connections().find(dial) != nullptr) close(dial, {CloseKind::dropped, "another one is ready"}, now);
  }
}

/// The connections that the new one replaces, as soon as they owe nothing.
void ConnectionPool::close_renewed(ConnectionHandle replacement, TimePoint now) {
  const AddressIndex index = upstreams_.connections().get(replacement).index();
  for (const ConnectionHandle handle : std::vector(upstreams_[index.upstream].connections)) {
    const PooledConnection& pooled = upstreams_.connections().get(handle);
    if (!pooled.renewed || pooled.address != index.address || pooled.pending.live() > 0) continue;
    close(handle, {CloseKind::dropped, "replaced"}, now);
  }
}

void ConnectionPool::drop_dials(AddressIndex index, TimePoint since, TimePoint now) {
  for (const ConnectionHandle handle : std::vector(upstreams_[index.upstream].connections)) {
    const PooledConnection& dialled = upstreams_.connections().get(handle);
    if (dialled.ready || dialled.address != index.address || dialled.dialled_at < since) continue;
    close(handle, {CloseKind::dropped, "not needed"}, now);
  }
}

ConnectionPool::Dropped ConnectionPool::drop_all(bool whatever_way, std::string_view why, TimePoint now) {
  std::vector<ConnectionHandle> dropped;
  upstreams_.connections().for_each([&](ConnectionHandle handle, const PooledConnection& pooled) {
    if (whatever_way || pooled.connection->route_has_changed()) dropped.push_back(handle);
  });
  Dropped result;
  for (const ConnectionHandle handle : dropped) {
    const std::vector<QueryHandle> left = take_down(handle, now);
    result.unanswered.insert(result.unanswered.end(), left.begin(), left.end());
  }
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) {
      // Most events are about other ways (containers that start). The first worker that sees a change tries.
      UpstreamAddress& address = upstreams_.address({i, j});
      const bool other_way = address.health.takes_way(dialer_.way_to(i, j));
      if (whatever_way || !dropped.empty() || other_way) address.last_dial = TimePoint::min();
      if (!whatever_way && !other_way) continue;
      if (!address.health.degraded()) address.health.retry_now(now);
      result.is_other_network = true;
    }
  }
  if (!dropped.empty())
    log_.info(std::string(why) + ": " + std::to_string(dropped.size()) + " upstream connections dropped");
  return result;
}

/// Takes a connection out and gives back the queries that it leaves unanswered; they may have attempts elsewhere.
std::vector<QueryHandle> ConnectionPool::take_down(ConnectionHandle handle, TimePoint now) {
  lending_.dismiss(handle);
  std::vector<QueryHandle> unanswered = upstreams_.connections().get(handle).pending.take_all();
  std::erase_if(unanswered, [&](QueryHandle query) {
    const auto lost = [&](const Attempt& attempt) { return attempt.connection == handle; };
    return queries_.get(query).attempts.erase_if(lost) == 0;  // it was there twice
  });
  upstreams_.remove(handle, now);
  return unanswered;
}

}  // namespace dotrelay
