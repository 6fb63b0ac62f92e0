// See trials.hpp.
#include "relay/trials.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

std::vector<AddressIndex> Trials::find(const UpstreamOrder& among, std::optional<AddressIndex> used, bool urgent,
                                       TimePoint now) const {
  std::vector<AddressIndex> due;
  for (const std::size_t i : among) {
    const Upstream& upstream = upstreams_[i];
    const bool is_used = used && i == used->upstream;
    const bool counts = urgent || is_used || upstreams_.count(upstream, &StandingRules::usable, now) == 0;
    const std::size_t end = !counts ? 0 : is_used ? used->address + 1 : upstream.addresses.size();
    std::size_t dials = UpstreamSet::count_dials(upstream);
    for (std::size_t j = 0; j < end && dials < UpstreamSet::kMaxDials; ++j) {
      if (!(urgent ? next_urgent_dial({i, j}, now) <= now : wants_trial({i, j}, is_used, now))) continue;
      due.push_back({i, j});
      ++dials;
    }
    if (is_used) break;
  }
  return due;
}

bool Trials::claim(AddressIndex target, bool urgent, TimePoint now) {
  UpstreamAddress& address = upstreams_.address(target);
  if (urgent && !probes_route(target, now) && !address.urgent_dials.claim(address.last_dial, now)) return false;
  address.health.claim_trial(now);
  return true;
}

ConnectionHandle Trials::copy(const UpstreamOrder& among, AddressIndex before, const std::vector<AddressIndex>& dialled,
                              TimePoint now) const {
  assert(among.members().contains(before.upstream));
  if (before == AddressIndex{among.first(), 0}) return {};
  for (const std::size_t i : among) {
    const auto due = [&](const PooledConnection& connection) {
      if (i == before.upstream && connection.address >= before.address) return false;
      const AddressIndex index = connection.index();
      const UpstreamAddress& address = upstreams_.address(index);
      if (!address.health.in_trouble() || now < address.no_trial_until || connection.borrowed()) return false;
      // A connection that has just been made is the trial; one of an upstream that answers badly waits for its time.
      if (!address.health.degraded()) return true;
      return address.health.trial_due(now) && std::ranges::find(dialled, index) == dialled.end();
    };
    if (const ConnectionHandle ready = upstreams_.best_ready(upstreams_[i], {}, now, due)) return ready;
    if (i == before.upstream) break;
  }
  return {};
}

void Trials::note_handshakes(TimePoint now) {
  upstreams_.connections().for_each([&](ConnectionHandle, const PooledConnection& connection) {
    if (connection.connection->state() == Connection::State::handshaking) {
      upstreams_.address(connection.index()).urgent_dials.on_handshake(now);
    }
  });
}

TimePoint Trials::next_event(UpstreamMask urgent, TimePoint now) const {
  TimePoint next = kNever;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    const Upstream& upstream = upstreams_[i];
    if (!urgent.contains(i) || UpstreamSet::count_dials(upstream) >= UpstreamSet::kMaxDials) continue;
    for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
      next = std::min(next, std::max(now, next_urgent_dial({i, j}, now)));
    }
  }
  return next;
}

/// Whether a connection to the address works that shows, or will show with its answers, what became of its trouble.
bool Trials::proves_itself(AddressIndex index, TimePoint now) const {
  const Health& health = upstreams_[index.upstream].addresses[index.address].health;
  const bool any = !health.in_trouble() || health.degraded();
  return std::ranges::any_of(upstreams_[index.upstream].connections, [&](ConnectionHandle handle) {
    const PooledConnection& connection = upstreams_.connections().get(handle);
    return connection.address == index.address && connection.rules(now).usable &&
           (any || connection.epoch == health.epoch());
  });
}

/// By a new connection, while nothing is urgent. `beside`: another address of the upstream works.
bool Trials::wants_trial(AddressIndex index, bool beside, TimePoint now) const {
  const UpstreamAddress& address = upstreams_[index.upstream].addresses[index.address];
  if (address.dials > 0 || (beside && proves_itself(index, now))) return false;
  if (address.health.in_trouble()) return address.health.trial_due(now);
  return !beside && !address.health.settled(now) && next_urgent_dial(index, now) <= now;
}

/// Whether this worker looks for itself if the route to the address is back: once a second at most, whatever the other
/// workers do, for without a route a dial costs one system call and has its result at once.
bool Trials::probes_route(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = upstreams_.address(index);
  constexpr Duration kPause = std::chrono::seconds(1);
  return address.health.trouble() == Trouble::no_route && address.dials == 0 &&
         (address.last_dial == TimePoint::min() || now - address.last_dial >= kPause);
}

/// When an urgent dial to the address may follow its latest one.
TimePoint Trials::next_urgent_dial(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = upstreams_[index.upstream].addresses[index.address];
  TimePoint soonest = upstreams_.next_replacement(upstreams_[index.upstream], now);
  if (address.last_dial != TimePoint::min()) soonest = std::max(soonest, address.last_dial + Health::kUrgentInterval);
  const Trouble trouble = address.health.trouble();
  if (!probes_route(index, now)) soonest = std::max(soonest, address.urgent_dials.next(address.last_dial, now));
  // A certificate is not mended within a fifth of a second.
  return trouble == Trouble::authentication ? std::max(soonest, address.health.next_trial(now)) : soonest;
}

}  // namespace dotrelay
