// See borrowing.hpp.
#include "relay/borrowing.hpp"

#include "relay/outage.hpp"

namespace dotrelay {

void Borrowing::borrow(AddressIndex target, TimePoint now) {
  const ConnectionHandle handle = upstreams_.add_borrowed(target, now);
  if (!handle) return;
  PooledConnection& pooled = upstreams_.connections().get(handle);
  pooled.connection = siblings_->connect(pooled.lender, upstreams_.address(target).number, handle);
}

bool Borrowing::borrow_in_trouble(UpstreamMask among, TimePoint now) {
  const std::optional<AddressIndex> target = upstreams_.lent_in_trouble(among, now);
  if (target) borrow(*target, now);
  return target.has_value();
}

bool Borrowing::on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now) {
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

bool Borrowing::on_passed(AddressIndex index, TimePoint now) {
  counters_.add(Counter::passed_to_sibling);
  UpstreamAddress& address = upstreams_.address(index);
  if (address.dials > 0 || now < address.refused_until || now < address.last_dial + Health::kUrgentInterval)
    return false;
  if (address.health.in_trouble() || upstreams_.has_own(index, now) || !upstreams_.may_dial_beside(index)) return false;
  return !address.connection_limit.known(now) || address.connection_limit.claim_trial(now);
}

}  // namespace dotrelay
