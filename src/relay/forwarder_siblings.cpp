// See forwarder.hpp. What is done where a server wants no more connections than other workers of the relay have: their
// queries' way through a sibling, and what is learned of the limit.
#include "relay/forwarder.hpp"

namespace dotrelay {

/// The caller routes its query again: the way can be used at once.
void Forwarder::borrow(AddressIndex target, TimePoint now) {
  const ConnectionHandle handle = upstreams_.add_borrowed(target, patience_, now);
  if (!handle) return;
  PooledConnection& pooled = upstreams_.connections().get(handle);
  pooled.connection = siblings_->connect(pooled.lender, upstreams_.address(target).number, handle);
}

/// Only an error is left for a query: a sibling's connection to an upstream in trouble may do better, as an own one
/// would. False: there is none.
bool Forwarder::borrow_in_trouble(UpstreamMask among, TimePoint now) {
  const std::optional<AddressIndex> target = upstreams_.lent_in_trouble(among, now);
  if (target) borrow(*target, now);
  return target.has_value();
}

/// The sibling lends no more, or its connection has ended.
void Forwarder::close_borrowed(ConnectionHandle handle, const CloseReason& reason, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  const std::size_t upstream = pooled.upstream;
  const bool answered = pooled.answered;
  for (const QueryHandle query : take_down(handle, now)) {
    Query* const left = queries_.find(query);
    if (left == nullptr) continue;
    // What was refused has not been sent to the upstream.
    if (!answered && reason.kind != CloseKind::unreachable) ++left->fruitless_sendings;
    retry_elsewhere(query, upstream, reason.kind, now);
  }
}

/// The ways through siblings to an address that has a connection of this worker's own, as soon as they owe nothing.
void Forwarder::drop_borrowed(AddressIndex index, TimePoint now) {
  if (!upstreams_.own_ready(index, now)) return;
  for (const ConnectionHandle handle : upstreams_.borrowed(index)) {
    if (upstreams_.connections().get(handle).pending.live() > 0) continue;
    close_borrowed(handle, {CloseKind::dropped, "there is an own connection"}, now);
  }
}

/// A dial to the address that began at `begun` was refused. True when the address is well all the same: its server
/// serves siblings, or a sibling is about to find out.
bool Forwarder::on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now) {
  UpstreamAddress& address = upstreams_.address(index);
  switch (upstreams_.judge_refusal(index, begun)) {
    case SharedConnections::Verdict::down:
      address.connection_limit.forget();
      return false;
    case SharedConnections::Verdict::unknown:
      // Once: where it happens again and again, no sibling is about to find out anything. A sibling's success in
      // between is no reason to dial more often.
      if (address.health.in_trouble() || now < address.refused_until + Outage::kShortWait) {
        upstreams_.await_sibling(index, now);
        return false;
      }
      break;
    case SharedConnections::Verdict::limited:
      counters_.add(Counter::upstream_limited);
      // When a server restarts, siblings may notice a little later than this worker: it dials once more.
      if (now - begun < Health::kUrgentInterval &&
          (now - address.first_refusal > ConnectionLimit::kFirstPause ||
           upstreams_.judge_refusal(index, address.first_refusal) != SharedConnections::Verdict::limited)) {
        address.first_refusal = begun;
        break;
      }
      if (address.connection_limit.learn(now)) {
        log_.info("upstream " + address.label + ": takes no more connections (" + cause +
                  "); workers without one send their queries through the others");
      }
      break;
  }
  upstreams_.await_sibling(index, now);
  return true;
}

/// A query went through a sibling: is it time to ask the server for a connection again? No query waits for it.
void Forwarder::on_passed(AddressIndex index, TimePoint now) {
  counters_.add(Counter::passed_to_sibling);
  UpstreamAddress& address = upstreams_.address(index);
  if (address.dials > 0 || now < address.refused_until || now < address.last_dial + Health::kUrgentInterval) return;
  if (address.health.in_trouble() || upstreams_.has_own(index, now) || !upstreams_.may_dial_beside(index)) return;
  if (address.connection_limit.known(now) && !address.connection_limit.claim_trial(now)) return;
  dial(index, now);
}

}  // namespace dotrelay
