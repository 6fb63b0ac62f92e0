// See upstream_set.hpp.
#include "relay/upstream_set.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

UpstreamSet::UpstreamSet(const std::vector<UpstreamConfig>& configs, Random& random) : random_(random) {
  for (const UpstreamConfig& config : configs) {
    Upstream& upstream = upstreams_.emplace_back();
    upstream.config = &config;
    for (const Endpoint& endpoint : config.addresses)
      upstream.addresses.push_back({.endpoint = endpoint, .health = {}});
  }
}

std::string UpstreamSet::label(AddressIndex index) const {
  const Upstream& upstream = upstreams_[index.upstream];
  return upstream.config->name + " (" + upstream.addresses[index.address].endpoint.to_text() + ")";
}

UpstreamSet::Choice UpstreamSet::choose(UpstreamMask excluded, UpstreamMask stale, TimePoint fresh_since,
                                        TimePoint now) {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if ((excluded >> i & 1) != 0) continue;
    Upstream& upstream = upstreams_[i];
    if (const ConnectionHandle ready = best_ready(upstream, (stale >> i & 1) != 0 ? fresh_since : TimePoint{})) {
      return {Choice::Kind::send, ready, {i, connections_.get(ready).address}};
    }
    if (has_prompt_dial(upstream, now)) return {Choice::Kind::wait, {}, {i, 0}};
    if (count_ready(upstream) >= kMaxConnections) continue;
    // A slow dial makes the next address of the same upstream the next candidate.
    const auto candidate = std::ranges::find_if(upstream.addresses, [](const UpstreamAddress& address) {
      return !address.health.failing() && address.dials == 0;
    });
    if (candidate == upstream.addresses.end()) continue;
    return {Choice::Kind::dial, {}, {i, static_cast<std::size_t>(candidate - upstream.addresses.begin())}};
  }
  return {Choice::Kind::none, {}, {upstreams_.size(), 0}};
}

bool UpstreamSet::any_ready() const {
  return std::ranges::any_of(upstreams_, [&](const Upstream& upstream) { return count_ready(upstream) > 0; });
}

bool UpstreamSet::has_ready(AddressIndex index) const {
  return std::ranges::any_of(upstreams_[index.upstream].connections, [&](ConnectionHandle handle) {
    const PooledConnection& connection = connections_.get(handle);
    return connection.ready && connection.address == index.address;
  });
}

std::vector<AddressIndex> UpstreamSet::trials_due(std::size_t before, bool urgent, TimePoint now) const {
  std::vector<AddressIndex> due;
  for (std::size_t i = 0; i < before; ++i) {
    const Upstream& upstream = upstreams_[i];
    std::size_t dials = count_dials(upstream);
    if (dials >= kMaxDials || (!urgent && best_ready(upstream, {}))) continue;
    for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
      const UpstreamAddress& address = upstream.addresses[j];
      if (!urgent && (address.dials > 0 || !address.health.failing())) continue;
      if (address.health.next_trial(urgent) > now) continue;
      due.push_back({i, j});
      if (++dials >= kMaxDials) break;
    }
  }
  return due;
}

std::optional<AddressIndex> UpstreamSet::wants_more(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  if (count_dials(upstream) > 0 || count_ready(upstream) >= kMaxConnections) return std::nullopt;
  const ConnectionHandle best = best_ready(upstream, {});
  if (!best) return std::nullopt;
  const PooledConnection& connection = connections_.get(best);
  if (connection.pending.live() < kComfortableLoad) return std::nullopt;
  if (now < upstream.addresses[connection.address].no_more_until) return std::nullopt;
  return AddressIndex{index, connection.address};
}

bool UpstreamSet::worth_waiting(UpstreamMask excluded) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if ((excluded >> i & 1) != 0) continue;
    for (const UpstreamAddress& address : upstreams_[i].addresses) {
      if (address.dials > 0 || !address.health.hopeless()) return true;
    }
  }
  return false;
}

ConnectionHandle UpstreamSet::add(AddressIndex target, TimePoint now) {
  const ConnectionHandle handle = connections_.emplace(target.upstream, target.address, now, random_);
  upstreams_[target.upstream].connections.push_back(handle);
  UpstreamAddress& address = this->address(target);
  ++address.dials;
  address.health.on_dial(now);
  return handle;
}

void UpstreamSet::remove(ConnectionHandle handle) {
  const PooledConnection& connection = connections_.get(handle);
  Upstream& upstream = upstreams_[connection.upstream];
  if (!connection.ready) --upstream.addresses[connection.address].dials;
  std::erase(upstream.connections, handle);
  connections_.erase(handle);
}

void UpstreamSet::mark_ready(ConnectionHandle handle, TimePoint now) {
  PooledConnection& connection = connections_.get(handle);
  assert(!connection.ready);
  connection.ready = true;
  connection.last_received = now;
  connection.idle_since = now;
  --address({connection.upstream, connection.address}).dials;
}

TimePoint UpstreamSet::next_event(bool urgent, TimePoint now) {
  TimePoint next = kNever;
  connections_.for_each([&](ConnectionHandle, const PooledConnection& connection) {
    if (!connection.ready) {
      next = std::min(next, connection.dialled_at + (connection.slow ? kDialTimeout : kSlowDial));
    } else if (connection.pending.live() == 0) {
      next = std::min(next, connection.idle_since + kIdleTimeout);
    }
  });
  if (!urgent) return next;
  for (const Upstream& upstream : upstreams_) {
    if (count_dials(upstream) >= kMaxDials) continue;
    for (const UpstreamAddress& address : upstream.addresses) {
      next = std::min(next, std::max(now, address.health.next_trial(true)));
    }
  }
  return next;
}

// The first connection that is comfortable, so that queries gather on few connections and leave in few writes; else the
// least loaded.
ConnectionHandle UpstreamSet::best_ready(const Upstream& upstream, TimePoint fresh_since) const {
  ConnectionHandle best;
  std::size_t best_load = 0;
  for (const ConnectionHandle handle : upstream.connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (!connection.ready || connection.pending.full() || connection.dialled_at < fresh_since) continue;
    const std::size_t load = connection.pending.live();
    if (load < kComfortableLoad) return handle;
    if (!best || load < best_load) {
      best = handle;
      best_load = load;
    }
  }
  return best;
}

std::size_t UpstreamSet::count_ready(const Upstream& upstream) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      upstream.connections, [&](ConnectionHandle handle) { return connections_.get(handle).ready; }));
}

bool UpstreamSet::has_prompt_dial(const Upstream& upstream, TimePoint now) const {
  return std::ranges::any_of(upstream.connections, [&](ConnectionHandle handle) {
    const PooledConnection& connection = connections_.get(handle);
    return !connection.ready && !upstream.addresses[connection.address].health.failing() &&
           now - connection.dialled_at < kSlowDial;
  });
}

std::size_t UpstreamSet::count_dials(const Upstream& upstream) {
  std::size_t dials = 0;
  for (const UpstreamAddress& address : upstream.addresses) dials += address.dials;
  return dials;
}

}  // namespace dotrelay
