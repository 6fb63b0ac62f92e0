// See upstream_set.hpp.
#include "relay/upstream_set.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

UpstreamSet::UpstreamSet(const std::vector<UpstreamConfig>& configs, std::span<SharedHealth> health,
                         SharedConnections shared, Duration patience, Random& random)
    : shared_(shared), patience_(patience), random_(random) {
  std::size_t next = 0;
  for (const UpstreamConfig& config : configs) {
    Upstream& upstream = upstreams_.emplace_back();
    upstream.config = &config;
    for (const Endpoint& endpoint : config.addresses) {
      upstream.addresses.emplace_back(config.name, endpoint, next, health[next]);
      ++next;
    }
  }
}

ConnectionHandle UpstreamSet::add(AddressIndex target, TimePoint now) {
  UpstreamAddress& address = this->address(target);
  const ConnectionHandle handle = connections_.emplace(
      target, address.health.epoch(), PooledConnection::Usual{address.slow_dial(), patience_}, now, random_);
  upstreams_[target.upstream].connections.push_back(handle);
  ++address.dials;
  address.last_dial = now;
  address.urgent_dials.on_dial(now);
  publish(target, now);
  return handle;
}

ConnectionHandle UpstreamSet::add_borrowed(AddressIndex target, std::uint16_t lender, TimePoint now) {
  // Of no epoch: its answers say nothing about new connections.
  const ConnectionHandle handle =
      connections_.emplace(target, Health::Epoch{0}, PooledConnection::Usual{Duration{}, patience_}, now, random_);
  PooledConnection& connection = connections_.get(handle);
  connection.lender = lender;
  connection.ready = connection.measured = true;
  connection.ready_at = now;
  upstreams_[target.upstream].connections.push_back(handle);
  return handle;
}

void UpstreamSet::remove(ConnectionHandle handle, TimePoint now) {
  const PooledConnection& connection = connections_.get(handle);
  Upstream& upstream = upstreams_[connection.upstream];
  if (!connection.ready) --upstream.addresses[connection.address].dials;
  const AddressIndex index = connection.index();
  const bool borrowed = connection.borrowed();
  std::erase(upstream.connections, handle);
  connections_.erase(handle);
  if (!borrowed) publish(index, now);
}

void UpstreamSet::mark_ready(ConnectionHandle handle, TimePoint now) {
  PooledConnection& connection = connections_.get(handle);
  assert(!connection.ready);
  connection.ready = true;
  connection.ready_at = connection.idle_since = now;
  upstreams_[connection.upstream].latest_ready = now;
  UpstreamAddress& address = this->address(connection.index());
  --address.dials;
  address.urgent_dials.on_ready(now);
  address.on_dialled(now - connection.dialled_at);
  publish(connection.index(), now);
}

bool UpstreamSet::any_usable(UpstreamMask among, TimePoint now) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (among.contains(i) && count(upstreams_[i], &StandingRules::usable, now) > 0) return true;
  }
  return false;
}

bool UpstreamSet::all_in_trouble(UpstreamMask among, TimePoint now) const {
  const auto in_trouble = [](const UpstreamAddress& address) { return address.health.in_trouble(); };
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (among.contains(i) && !std::ranges::all_of(upstreams_[i].addresses, in_trouble)) return false;
  }
  return !any_usable(among, now);
}

bool UpstreamSet::has_usable(AddressIndex index, TimePoint now) const {
  return has(index, &StandingRules::usable, now);
}

bool UpstreamSet::has_own(AddressIndex index, TimePoint now) const {
  const auto own = [&](const PooledConnection& connection) {
    return !connection.borrowed() && connection.rules(now).usable;
  };
  return static_cast<bool>(find_connection(index, own));
}

ConnectionHandle UpstreamSet::own_ready(AddressIndex index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index.upstream];
  const auto suits = [&](const PooledConnection& connection) {
    return connection.address == index.address && !connection.borrowed();
  };
  return best_ready(upstream, {}, now, suits);
}

ConnectionHandle UpstreamSet::lendable(AddressIndex index, TimePoint now) const {
  if (const ConnectionHandle ready = own_ready(index, now)) return ready;
  return find_connection(index, [&](const PooledConnection& connection) {
    return !connection.borrowed() && connection.standing(now) == Standing::mute && !connection.pending.full();
  });
}

std::vector<ConnectionHandle> UpstreamSet::borrowed(AddressIndex index) const {
  std::vector<ConnectionHandle> found;
  for (const ConnectionHandle handle : upstreams_[index.upstream].connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (connection.address == index.address && connection.borrowed()) found.push_back(handle);
  }
  return found;
}

std::size_t UpstreamSet::count(const Upstream& upstream, bool StandingRules::*what, TimePoint now) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      upstream.connections, [&](ConnectionHandle handle) { return connections_.get(handle).rules(now).*what; }));
}

std::size_t UpstreamSet::count(const Upstream& upstream, Standing standing, TimePoint now) const {
  return static_cast<std::size_t>(std::ranges::count_if(upstream.connections, [&](ConnectionHandle handle) {
    return connections_.get(handle).standing(now) == standing;
  }));
}

bool UpstreamSet::has(AddressIndex index, bool StandingRules::*what, TimePoint now) const {
  return std::ranges::any_of(upstreams_[index.upstream].connections, [&](ConnectionHandle handle) {
    const PooledConnection& connection = connections_.get(handle);
    return connection.address == index.address && connection.rules(now).*what;
  });
}

bool UpstreamSet::may_dial_beside(AddressIndex index) const {
  return count_dials(upstreams_[index.upstream]) < kMaxDials;
}

std::size_t UpstreamSet::count_dials(const Upstream& upstream) {
  std::size_t dials = 0;
  for (const UpstreamAddress& address : upstream.addresses) dials += address.dials;
  return dials;
}

TimePoint UpstreamSet::next_replacement(const Upstream& upstream, TimePoint now) const {
  if (count(upstream, Standing::worn, now) >= kMaxWorn) return kNever;
  if (count(upstream, &StandingRules::is_paced, now) == 0) return TimePoint::min();
  return upstream.latest_ready + patience_;
}

TimePoint UpstreamSet::prompt_dials_until(const Upstream& upstream, TimePoint now) const {
  TimePoint until = now;
  for (const ConnectionHandle handle : upstream.connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (!connection.ready) until = std::max(until, connection.slow_at);
  }
  return until;
}

std::vector<ConnectionHandle> UpstreamSet::surplus_dials(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  const bool enough = count(upstream, &StandingRules::holds_place, now) >= kMaxConnections;
  std::vector<std::size_t> left;
  for (const UpstreamAddress& address : upstream.addresses) left.push_back(address.dials);
  std::vector<ConnectionHandle> surplus;
  for (const ConnectionHandle handle : upstream.connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (connection.ready) continue;
    // The latest of an address may stay: it waits for no retransmission of its SYN.
    if (left[connection.address]-- > 1 || enough) surplus.push_back(handle);
  }
  return surplus;
}

ConnectionHandle UpstreamSet::surplus_connection(ConnectionHandle latest, TimePoint now) const {
  ConnectionHandle mute;
  ConnectionHandle idle;
  std::size_t places = 0;
  std::size_t mutes = 0;
  for (const ConnectionHandle handle : upstreams_[connections_.get(latest).upstream].connections) {
    const PooledConnection& connection = connections_.get(handle);
    const Standing standing = connection.standing(now);
    const bool owes = connection.pending.live() > 0;
    if (rules_of(standing).holds_place) {
      ++places;
      if (!idle && handle != latest && !owes) idle = handle;
    } else if (rules_of(standing).is_doubtful) {
      ++mutes;
      // The oldest, but rather one that no client waits for.
      if (!mute || (!owes && connections_.get(mute).pending.live() > 0)) mute = handle;
    }
  }
  if (mutes > kMaxMute) return mute;
  if (places > kMaxConnections) return idle ? idle : latest;
  return {};
}

Health::Epoch UpstreamSet::proven_epoch(const PooledConnection& from, TimePoint sent_at) const {
  const Upstream& upstream = upstreams_[from.upstream];
  const Health::Epoch latest = upstream.addresses[from.address].health.epoch();
  const bool made_since = std::ranges::any_of(upstream.connections, [&](ConnectionHandle handle) {
    const PooledConnection& other = connections_.get(handle);
    return other.ready && !other.borrowed() && other.address == from.address && other.epoch == latest &&
           other.dialled_at <= sent_at;
  });
  // Where a server's limit is known, connections that it refuses say nothing.
  return made_since || address(from.index()).connection_limit.known(sent_at) ? latest : from.epoch;
}

std::optional<AddressIndex> UpstreamSet::index_of(std::size_t number) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (number < upstreams_[i].addresses.size()) return AddressIndex{i, number};
    number -= upstreams_[i].addresses.size();
  }
  return std::nullopt;
}

void UpstreamSet::publish(AddressIndex index, TimePoint now) {
  if (shared_.alone()) return;
  TimePoint ready_since = kNever;
  TimePoint dialling_since = kNever;
  for (const ConnectionHandle handle : upstreams_[index.upstream].connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (connection.address != index.address || connection.borrowed()) continue;
    if (!connection.ready) {
      dialling_since = std::min(dialling_since, connection.dialled_at);
    } else if (const Standing standing = connection.standing(now);
               rules_of(standing).takes_queries || standing == Standing::mute) {
      ready_since = std::min(ready_since, connection.ready_at);
    }
  }
  shared_.publish(address(index).number, ready_since, dialling_since);
}

void UpstreamSet::publish_all(TimePoint now) {
  if (shared_.alone()) return;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) publish({i, j}, now);
  }
}

void UpstreamSet::withhold(AddressIndex index) { shared_.withhold(address(index).number); }

TimePoint UpstreamSet::next_event() {
  TimePoint next = kNever;
  connections_.for_each([&](ConnectionHandle, const PooledConnection& connection) {
    if (!connection.ready) {
      next = std::min(next, connection.slow ? connection.dial_until : connection.slow_at);
      next = std::min(next, connection.handshake_look_at);
    } else if (connection.pending.live() == 0) {
      next = std::min(next, connection.idle_end(address(connection.index()).idle_close.limit()));
    }
    next = std::min({next, connection.look_at, connection.useless_at});
  });
  return next;
}

}  // namespace dotrelay
