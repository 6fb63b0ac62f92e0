// See borrowing.hpp.
#include "relay/borrowing.hpp"

#include "relay/outage.hpp"

#include <algorithm>

namespace dotrelay {

bool Borrowing::must_borrow(AddressIndex index, TimePoint now) const {
  return gets_none(index, now) && lender_for(index, false, now) != 0;
}

bool Borrowing::may_borrow(AddressIndex index, TimePoint now) const {
  const auto slow = [&](const PooledConnection& connection) { return !connection.ready && now >= connection.slow_at; };
  return (gets_none(index, now) || upstreams_.find_connection(index, slow)) && lender_for(index, true, now) != 0;
}

/// It was refused, for now or for good.
bool Borrowing::gets_none(AddressIndex index, TimePoint now) const {
  return now < upstreams_.address(index).refused_until || limited(index, now);
}

bool Borrowing::limited(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = upstreams_.address(index);
  return address.connection_limit.known(now) && upstreams_.shared().sibling_ready(address.number);
}

bool Borrowing::awaits_dial(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = upstreams_.address(index);
  return now < address.refused_until && upstreams_.shared().sibling_dials(address.number);
}

/// The number of a sibling that has a connection to the address; 0 when there is none, or the ways that there are
/// suffice. `again`: also one whose way has gone mute, at long intervals: it may be so because of what was asked, or
/// because the sibling hangs.
std::uint16_t Borrowing::lender_for(AddressIndex index, bool again, TimePoint now) const {
  if (upstreams_.shared().alone() || upstreams_.borrowed(index).size() >= kMaxBorrowed) return 0;
  const std::size_t sibling =
      upstreams_.shared().ready_sibling(upstreams_.address(index).number, random_, [&](std::size_t worker) {
        return !upstreams_.find_connection(index, [&](const PooledConnection& other) {
          const bool may_again = again && other.rules(now).is_doubtful && now >= other.dialled_at + patience_;
          return other.lender == worker + 1 && !may_again;
        });
      });
  return sibling == upstreams_.shared().worker() ? std::uint16_t{0} : static_cast<std::uint16_t>(sibling + 1);
}

void Borrowing::borrow(AddressIndex target, TimePoint now) {
  std::uint16_t lender = lender_for(target, false, now);
  if (lender == 0) lender = lender_for(target, true, now);
  if (lender == 0) return;
  const ConnectionHandle handle = upstreams_.add_borrowed(target, lender, now);
  upstreams_.connections().get(handle).connection =
      siblings_->connect(lender, upstreams_.address(target).number, handle);
}

bool Borrowing::borrow_in_trouble(const UpstreamOrder& among, TimePoint now) {
  const std::optional<AddressIndex> target = lent_in_trouble(among, now);
  if (target) borrow(*target, now);
  return target.has_value();
}

std::optional<AddressIndex> Borrowing::lent_in_trouble(const UpstreamOrder& among, TimePoint now) const {
  for (const std::size_t i : among) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) {
      if (upstreams_[i].addresses[j].health.in_trouble() && lender_for({i, j}, false, now) != 0)
        return AddressIndex{i, j};
    }
  }
  return std::nullopt;
}

/// Queries are to use or to await a sibling's connection for a while, because the own dial was refused.
void Borrowing::await_sibling(AddressIndex index, TimePoint now) {
  UpstreamAddress& address = upstreams_.address(index);
  address.refused_until = address.no_more_until = now + Health::kUrgentInterval;
  await_until_ = std::max(await_until_, address.refused_until);
}

bool Borrowing::on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now) {
  UpstreamAddress& address = upstreams_.address(index);
  switch (upstreams_.shared().judge(address.number, begun)) {
    case SharedConnections::Verdict::down:
      address.connection_limit.forget();
      return false;
    case SharedConnections::Verdict::unknown:
      // Once: where it happens again and again, no sibling is about to find out anything. A sibling's success in
      // between is no reason to dial more often.
      if (address.health.in_trouble() || now < address.refused_until + Outage::kShortWait) {
        await_sibling(index, now);
        return false;
      }
      break;
    case SharedConnections::Verdict::limited:
      counters_.add(Counter::upstream_limited);
      // When a server restarts, siblings may notice a little later than this worker: it dials once more.
      if (now - begun < Health::kUrgentInterval &&
          (now - address.first_refusal > ConnectionLimit::kFirstPause ||
           upstreams_.shared().judge(address.number, address.first_refusal) != SharedConnections::Verdict::limited)) {
        address.first_refusal = begun;
        break;
      }
      if (address.connection_limit.learn(now)) {
        log_.info("upstream " + address.label + ": takes no more connections (" + cause +
                  "); workers without one send their queries through the others");
      }
      break;
  }
  await_sibling(index, now);
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
