// See upstream_set.hpp.
#include "relay/upstream_set.hpp"

#include <algorithm>
#include <cassert>
#include <tuple>

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

UpstreamSet::Choice UpstreamSet::choose(const Candidates& candidates, bool patient, TimePoint now) {
  const UpstreamMask open = candidates.open();
  const auto connected = [&](const PooledConnection& connection) {
    return !address(connection.index()).health.degraded();
  };
  Choice unproven;
  Choice to_wait;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!open.contains(i)) continue;
    // Returned as it is made: copying what has just been put together stalls the processor.
    if (const ConnectionHandle ready = trusted_connection(i, candidates.fresh_since(i), now)) {
      return {Choice::Kind::send, ready, connections_.get(ready).index()};
    }
    if (unproven.kind == Choice::Kind::none) {
      if (const ConnectionHandle ready = best_ready(upstreams_[i], candidates.fresh_since(i), now, connected)) {
        unproven = {Choice::Kind::send, ready, connections_.get(ready).index()};
      }
    }
    // A fresh connection to one that was in trouble beats waiting for one to another address.
    if (to_wait.kind == Choice::Kind::none) to_wait = wait_or_dial(i, now);
    if (to_wait.kind != Choice::Kind::none && patient) break;
  }
  if (to_wait.kind != Choice::Kind::none) return unproven.kind == Choice::Kind::send ? unproven : to_wait;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!open.contains(i)) continue;
    // In trouble, but connected: better than nothing.
    const auto any = [](const PooledConnection&) { return true; };
    if (const ConnectionHandle ready = best_ready(upstreams_[i], candidates.fresh_since(i), now, any)) {
      return {Choice::Kind::send, ready, connections_.get(ready).index()};
    }
  }
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!open.contains(i)) continue;
    if (const Choice choice = choose_unsettled(i, now); choice.kind != Choice::Kind::none) return choice;
  }
  return {};
}

/// A ready connection to an upstream that is well.
ConnectionHandle UpstreamSet::trusted_connection(std::size_t index, TimePoint fresh_since, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  // A connection that has brought answers is good, whatever became of other ones.
  const auto good = [&](const PooledConnection& connection) {
    const Health& health = upstream.addresses[connection.address].health;
    return connection.answered ? !health.degraded() : !health.in_trouble();
  };
  return best_ready(upstream, fresh_since, now, good);
}

/// An upstream that is well: a connection to wait for, or to make.
UpstreamSet::Choice UpstreamSet::wait_or_dial(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  const auto settled = [&](const UpstreamAddress& address) { return address.health.settled(now); };
  for (const ConnectionHandle handle : upstream.connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (!connection.ready && now < connection.slow_at && settled(upstream.addresses[connection.address]))
      return {Choice::Kind::wait, {}, {index, connection.address}};
  }
  if (count(upstream, &StandingRules::holds_place, now) >= kMaxConnections) return {};
  Choice dial;
  for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
    if (!settled(upstream.addresses[j])) continue;
    if (must_borrow({index, j}, now)) return {Choice::Kind::borrow, {}, {index, j}};
    if (now < upstream.addresses[j].refused_until && shared_.sibling_dials(upstream.addresses[j].number)) {
      return {Choice::Kind::wait, {}, {index, j}};
    }
    if (!may_dial({index, j}, now)) continue;
    // A slow dial or a mute connection makes the next address of the same upstream the next candidate.
    const bool better = !has({index, j}, &StandingRules::is_doubtful, now);
    if (better || dial.kind == Choice::Kind::none) dial = {Choice::Kind::dial, {}, {index, j}};
    if (better) break;
  }
  // While the own dial is slow in coming and no other address can be dialled: a sibling's connection.
  for (std::size_t j = 0; j < upstream.addresses.size() && dial.kind == Choice::Kind::none; ++j) {
    if (settled(upstream.addresses[j]) && may_borrow({index, j}, now)) return {Choice::Kind::borrow, {}, {index, j}};
  }
  return dial;
}

/// An upstream that was in trouble a moment ago: worth waiting for only when there is nothing better.
UpstreamSet::Choice UpstreamSet::choose_unsettled(std::size_t index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index];
  if (prompt_dials_until(upstream, now) > now) return {Choice::Kind::wait, {}, {index, 0}};
  if (count(upstream, &StandingRules::holds_place, now) >= kMaxConnections) return {};
  for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
    if (upstream.addresses[j].health.in_trouble()) continue;
    if (may_borrow({index, j}, now)) return {Choice::Kind::borrow, {}, {index, j}};
    if (may_dial({index, j}, now)) return {Choice::Kind::dial, {}, {index, j}};
  }
  return {};
}

ConnectionHandle UpstreamSet::trial_by_copy(UpstreamMask among, AddressIndex before, TimePoint now) {
  if (before.upstream == 0 && before.address == 0) return {};
  for (std::size_t i = 0; i <= before.upstream; ++i) {
    if (!among.contains(i)) continue;
    const auto due = [&](const PooledConnection& connection) {
      if (i == before.upstream && connection.address >= before.address) return false;
      const UpstreamAddress& address = this->address(connection.index());
      if (!address.health.in_trouble() || now < address.no_trial_until || connection.borrowed()) return false;
      // A connection that has just been made is the trial; one of an upstream that answers badly waits for its time.
      return !address.health.degraded() || address.health.trial_due(now);
    };
    if (const ConnectionHandle ready = best_ready(upstreams_[i], {}, now, due)) return ready;
  }
  return {};
}

bool UpstreamSet::any_usable(UpstreamMask among, TimePoint now) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (among.contains(i) && count(upstreams_[i], &StandingRules::usable, now) > 0) return true;
  }
  return false;
}

bool UpstreamSet::has_usable(AddressIndex index, TimePoint now) const {
  return has(index, &StandingRules::usable, now);
}

std::vector<AddressIndex> UpstreamSet::trials_due(UpstreamMask among, std::optional<AddressIndex> used, bool urgent,
                                                  TimePoint now) const {
  std::vector<AddressIndex> due;
  for (std::size_t i = 0; i < upstreams_.size() && (!used || i <= used->upstream); ++i) {
    if (!among.contains(i)) continue;
    const Upstream& upstream = upstreams_[i];
    const bool is_used = used && i == used->upstream;
    const std::size_t end = is_used ? used->address + 1 : upstream.addresses.size();
    std::size_t dials = count_dials(upstream);
    if (dials >= kMaxDials || (!urgent && !is_used && count(upstream, &StandingRules::usable, now) > 0)) continue;
    for (std::size_t j = 0; j < end && dials < kMaxDials; ++j) {
      if (!(urgent ? next_urgent_dial({i, j}, now) <= now : wants_trial({i, j}, is_used, now))) continue;
      due.push_back({i, j});
      ++dials;
    }
  }
  return due;
}

/// Whether a connection to the address works that shows, or will show with its answers, what became of its trouble.
bool UpstreamSet::proves_itself(AddressIndex index, TimePoint now) const {
  const Health& health = upstreams_[index.upstream].addresses[index.address].health;
  const bool any = !health.in_trouble() || health.degraded();
  return std::ranges::any_of(upstreams_[index.upstream].connections, [&](ConnectionHandle handle) {
    const PooledConnection& connection = connections_.get(handle);
    return connection.address == index.address && connection.rules(now).usable &&
           (any || connection.epoch == health.epoch());
  });
}

/// By a new connection, while nothing is urgent. `beside`: another address of the upstream works.
bool UpstreamSet::wants_trial(AddressIndex index, bool beside, TimePoint now) const {
  const UpstreamAddress& address = upstreams_[index.upstream].addresses[index.address];
  if (address.dials > 0 || (beside && proves_itself(index, now))) return false;
  if (address.health.in_trouble()) return address.health.trial_due(now);
  return !beside && !address.health.settled(now) && next_urgent_dial(index, now) <= now;
}

bool UpstreamSet::probes_route(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = address_of(index);
  constexpr Duration kPause = std::chrono::seconds(1);
  return address.health.trouble() == Trouble::no_route && address.dials == 0 &&
         (address.last_dial == TimePoint::min() || now - address.last_dial >= kPause);
}

/// When an urgent dial to the address may follow its latest one.
TimePoint UpstreamSet::next_urgent_dial(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = upstreams_[index.upstream].addresses[index.address];
  TimePoint soonest = next_replacement(upstreams_[index.upstream], now);
  if (address.last_dial != TimePoint::min()) soonest = std::max(soonest, address.last_dial + Health::kUrgentInterval);
  const Trouble trouble = address.health.trouble();
  if (!probes_route(index, now)) soonest = std::max(soonest, address.urgent_dials.next(address.last_dial, now));
  // A certificate is not mended within a fifth of a second.
  return trouble == Trouble::authentication ? std::max(soonest, address.health.next_trial(now)) : soonest;
}

std::optional<AddressIndex> UpstreamSet::wants_more(ConnectionHandle used, TimePoint now) const {
  if (connections_.get(used).pending.live() < kComfortableLoad) return std::nullopt;
  const Upstream& upstream = upstreams_[connections_.get(used).upstream];
  if (upstream.connections.size() >= kMaxConnections || count_dials(upstream) > 0) return std::nullopt;
  const ConnectionHandle best = best_ready(upstream, {}, now, [](const PooledConnection&) { return true; });
  if (!best) return std::nullopt;
  const PooledConnection& connection = connections_.get(best);
  if (connection.pending.live() < kComfortableLoad) return std::nullopt;
  if (now < upstream.addresses[connection.address].no_more_until || connection.borrowed()) return std::nullopt;
  if (limited(connection.index(), now)) return std::nullopt;
  return connection.index();
}

TimePoint UpstreamSet::prompt_dials_until(UpstreamMask among, TimePoint now) const {
  TimePoint until = now;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (among.contains(i)) until = std::max(until, prompt_dials_until(upstreams_[i], now));
  }
  return until;
}

TimePoint UpstreamSet::hope_until(UpstreamMask among, TimePoint now) const {
  TimePoint until = now;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!among.contains(i)) continue;
    // One that waits for its turn to replace a connection may still be dialled.
    const TimePoint replacement = next_replacement(upstreams_[i], now);
    if (replacement > now && replacement != kNever)
      until = std::max(until, replacement + upstreams_[i].addresses.front().slow_dial());
    for (const ConnectionHandle handle : upstreams_[i].connections) {
      const PooledConnection& connection = connections_.get(handle);
      if (connection.ready) continue;
      const bool unknown = upstreams_[i].addresses[connection.address].usual_dial == Duration{};
      until = std::max(until, unknown ? connection.dialled_at + patience_ : connection.slow_at);
    }
    // What a sibling dials can be borrowed, if it does not take long.
    for (const UpstreamAddress& address : upstreams_[i].addresses) {
      const Duration prompt = address.slow_dial();
      if (shared_.sibling_dials(address.number, now - prompt)) until = std::max(until, now + prompt);
    }
  }
  return until;
}

bool UpstreamSet::worth_waiting(UpstreamMask among) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!among.contains(i)) continue;
    for (const UpstreamAddress& address : upstreams_[i].addresses) {
      if (address.dials > 0 || !address.health.hopeless()) return true;
    }
  }
  return false;
}

void UpstreamSet::note_handshakes(TimePoint now) {
  connections_.for_each([&](ConnectionHandle, const PooledConnection& connection) {
    if (connection.connection->state() == Connection::State::handshaking) {
      address(connection.index()).urgent_dials.on_handshake(now);
    }
  });
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
  return made_since || address_of(from.index()).connection_limit.known(sent_at) ? latest : from.epoch;
}

ConnectionHandle UpstreamSet::add(AddressIndex target, TimePoint now) {
  UpstreamAddress& address = this->address(target);
  const ConnectionHandle handle =
      connections_.emplace(target, address.health.epoch(), now, address.slow_dial(), patience_, random_);
  upstreams_[target.upstream].connections.push_back(handle);
  ++address.dials;
  address.last_dial = now;
  address.urgent_dials.on_dial(now);
  publish(target, now);
  return handle;
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

TimePoint UpstreamSet::next_event(UpstreamMask urgent, TimePoint now) {
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
  // In steps of the clock, so that what happens meanwhile does not put it off.
  if (!urgent.empty() || await_sibling_until_ != TimePoint{}) {
    next = std::min(next, TimePoint((now.time_since_epoch() / UrgentDials::kLook + 1) * UrgentDials::kLook));
  }
  for (std::size_t i = 0; i < upstreams_.size() && !urgent.empty(); ++i) {
    const Upstream& upstream = upstreams_[i];
    if (!urgent.contains(i) || count_dials(upstream) >= kMaxDials) continue;
    for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
      next = std::min(next, std::max(now, next_urgent_dial({i, j}, now)));
    }
  }
  return next;
}

/// Of the connections to the address.
template <class Suits>
ConnectionHandle UpstreamSet::find_connection(AddressIndex index, Suits suits) const {
  for (const ConnectionHandle handle : upstreams_[index.upstream].connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (connection.address == index.address && suits(connection)) return handle;
  }
  return {};
}

void UpstreamSet::await_sibling(AddressIndex index, TimePoint now) {
  UpstreamAddress& address = this->address(index);
  address.refused_until = address.no_more_until = now + Health::kUrgentInterval;
  await_sibling_until_ = std::max(await_sibling_until_, address.refused_until);
}

bool UpstreamSet::limited(AddressIndex index, TimePoint now) const {
  const UpstreamAddress& address = address_of(index);
  return address.connection_limit.known(now) && shared_.sibling_ready(address.number);
}

/// The number of a sibling that has a connection to the address; 0 when there is none, or the ways that there are
/// suffice. `again`: also one whose way has gone mute, but seldom: it may be so because of what was asked, or because
/// the sibling hangs.
std::uint16_t UpstreamSet::lender_for(AddressIndex index, bool again, TimePoint now) const {
  if (shared_.alone() || borrowed(index).size() >= kMaxBorrowed) return 0;
  const std::size_t sibling = shared_.ready_sibling(address_of(index).number, random_, [&](std::size_t worker) {
    return !find_connection(index, [&](const PooledConnection& other) {
      const bool may_again = again && other.rules(now).is_doubtful && now >= other.dialled_at + patience_;
      return other.lender == worker + 1 && !may_again;
    });
  });
  return sibling == shared_.worker() ? std::uint16_t{0} : static_cast<std::uint16_t>(sibling + 1);
}

/// Whether a query is to go through a sibling because this worker gets no connection of its own.
bool UpstreamSet::must_borrow(AddressIndex index, TimePoint now) const {
  return gets_none(index, now) && lender_for(index, false, now) != 0;
}

/// The same when an own connection is slow in coming, or can only be waited for while the sibling's is mute.
bool UpstreamSet::may_borrow(AddressIndex index, TimePoint now) const {
  const auto slow = [&](const PooledConnection& connection) { return !connection.ready && now >= connection.slow_at; };
  return (gets_none(index, now) || find_connection(index, slow)) && lender_for(index, true, now) != 0;
}

bool UpstreamSet::gets_none(AddressIndex index, TimePoint now) const {
  return now < address_of(index).refused_until || limited(index, now);
}

std::optional<AddressIndex> UpstreamSet::lent_in_trouble(UpstreamMask among, TimePoint now) const {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!among.contains(i)) continue;
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) {
      if (upstreams_[i].addresses[j].health.in_trouble() && lender_for({i, j}, false, now) != 0)
        return AddressIndex{i, j};
    }
  }
  return std::nullopt;
}

ConnectionHandle UpstreamSet::add_borrowed(AddressIndex target, TimePoint now) {
  std::uint16_t lender = lender_for(target, false, now);
  if (lender == 0) lender = lender_for(target, true, now);
  if (lender == 0) return {};
  // Of no epoch: its answers say nothing about new connections.
  const ConnectionHandle handle = connections_.emplace(target, Health::Epoch{0}, now, Duration{}, patience_, random_);
  PooledConnection& connection = connections_.get(handle);
  connection.lender = lender;
  connection.ready = connection.measured = true;
  connection.ready_at = now;
  upstreams_[target.upstream].connections.push_back(handle);
  return handle;
}

std::vector<ConnectionHandle> UpstreamSet::borrowed(AddressIndex index) const {
  std::vector<ConnectionHandle> found;
  for (const ConnectionHandle handle : upstreams_[index.upstream].connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (connection.address == index.address && connection.borrowed()) found.push_back(handle);
  }
  return found;
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
  shared_.publish(address_of(index).number, ready_since, dialling_since);
}

void UpstreamSet::withhold(AddressIndex index) { shared_.withhold(address_of(index).number); }

void UpstreamSet::publish_all(TimePoint now) {
  if (shared_.alone()) return;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) publish({i, j}, now);
  }
}

// The first address's first connection that is comfortable, so that queries gather on few connections and leave in few
// writes; else the least loaded. An own one before a sibling's.
template <class Suits>
ConnectionHandle UpstreamSet::best_ready(const Upstream& upstream, TimePoint fresh_since, TimePoint now,
                                         Suits suits) const {
  ConnectionHandle best;
  std::tuple<bool, bool, std::size_t> best_rank;
  for (const ConnectionHandle handle : upstream.connections) {
    const PooledConnection& connection = connections_.get(handle);
    if (!connection.rules(now).takes_queries) continue;
    if (std::max(connection.ready_at, connection.last_answer) < fresh_since || !suits(connection)) continue;
    const std::size_t load = connection.pending.live();
    const bool loaded = load >= kComfortableLoad;
    const std::tuple<bool, bool, std::size_t> rank{connection.borrowed(), loaded, loaded ? load : connection.address};
    if (best && rank >= best_rank) continue;
    best = handle;
    best_rank = rank;
  }
  return best;
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

/// There is no dial to it and room for one, its server has not just refused a connection beside one that works, and no
/// connection to the upstream has been replaced just now.
bool UpstreamSet::may_dial(AddressIndex index, TimePoint now) const {
  const Upstream& upstream = upstreams_[index.upstream];
  const UpstreamAddress& address = upstream.addresses[index.address];
  if (address.dials > 0 || !may_dial_beside(index) || now < next_replacement(upstream, now)) return false;
  if (now >= address.no_more_until) return true;
  // Beside one that takes no more queries it is tried again, not at once.
  return !has(index, &StandingRules::takes_queries, now) && now >= address.last_dial + Health::kUrgentInterval;
}

/// When a connection may be made in place of those that are to be replaced: once each patience, whatever wears them
/// out.
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

bool UpstreamSet::may_dial_beside(AddressIndex index) const {
  return count_dials(upstreams_[index.upstream]) < kMaxDials;
}

std::size_t UpstreamSet::count_dials(const Upstream& upstream) {
  std::size_t dials = 0;
  for (const UpstreamAddress& address : upstream.addresses) dials += address.dials;
  return dials;
}

}  // namespace dotrelay
