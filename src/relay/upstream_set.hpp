// The upstreams in failover order with the state of their connections, and what can be asked of it. The rule by which
// one is chosen is in planner.hpp.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/slab.hpp"
#include "config/config.hpp"
#include "relay/query.hpp"
#include "relay/shared_connections.hpp"
#include "relay/upstream.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace dotrelay {

class UpstreamSet {
 public:
  /// Connections to one upstream that hold a place: more than one only under load, since each costs the server and a
  /// handshake.
  static constexpr std::size_t kMaxConnections = 4;
  /// Connections beside them that are worn, and that are mute: they may still bring answers. They are replaced once
  /// each patience, a quarter of the deadline or less, and their queries have ended after one and a half deadlines.
  static constexpr std::size_t kMaxWorn = 6;
  static constexpr std::size_t kMaxMute = 4;
  /// Queries in flight on each ready connection before another is opened. Servers bound what one connection may have in
  /// flight (Knot Resolver: 100, Unbound: 32 at work) and then read no further.
  static constexpr std::size_t kComfortableLoad = 256;
  /// Connections to one upstream that are not ready yet: one each Health::kUrgentInterval for as long as a dial may
  /// take.
  static constexpr std::size_t kMaxDials = 16;

  /// `health` has an entry for each address, in the order of the configuration, and outlives the set. `patience`: no
  /// connection is replaced twice within it.
  UpstreamSet(const std::vector<UpstreamConfig>& configs, std::span<SharedHealth> health, SharedConnections shared,
              Duration patience, Random& random);

  [[nodiscard]] std::size_t size() const { return upstreams_.size(); }
  [[nodiscard]] UpstreamMask everyone() const { return UpstreamMask::first(upstreams_.size()); }
  [[nodiscard]] Upstream& operator[](std::size_t index) { return upstreams_[index]; }
  [[nodiscard]] const Upstream& operator[](std::size_t index) const { return upstreams_[index]; }
  [[nodiscard]] UpstreamAddress& address(AddressIndex index) {
    return upstreams_[index.upstream].addresses[index.address];
  }
  [[nodiscard]] const UpstreamAddress& address(AddressIndex index) const {
    return upstreams_[index.upstream].addresses[index.address];
  }
  [[nodiscard]] Slab<PooledConnection>& connections() { return connections_; }
  [[nodiscard]] const Slab<PooledConnection>& connections() const { return connections_; }

  [[nodiscard]] const std::string& label(AddressIndex index) const {
    return upstreams_[index.upstream].addresses[index.address].label;
  }

  /// Whether any of them has a connection that works.
  [[nodiscard]] bool any_usable(UpstreamMask among, TimePoint now) const;
  /// Whether all addresses of these upstreams are in trouble, and no connection to one is usable.
  [[gnu::cold]] [[nodiscard]] bool all_in_trouble(UpstreamMask among, TimePoint now) const;

  /// Whether there is room for another dial beside those that are under way.
  [[gnu::cold]] [[nodiscard]] bool may_dial_beside(AddressIndex index) const;

  /// Whether the address has a connection that works.
  [[nodiscard]] bool has_usable(AddressIndex index, TimePoint now) const;

  /// The epoch for which an answer on `from` to a query sent at `sent_at` is proof. A connection from before the latest
  /// trouble shows that the address answers; a ready one from after it, that others can be made.
  [[gnu::cold]] [[nodiscard]] Health::Epoch proven_epoch(const PooledConnection& from, TimePoint sent_at) const;

  /// Creates the entry of a way through a sibling, which is ready at once; the caller connects. `lender`: the number of
  /// the sibling's worker.
  [[gnu::cold]] ConnectionHandle add_borrowed(AddressIndex target, std::uint16_t lender, TimePoint now);

  /// The ways through siblings to the address.
  [[gnu::cold]] [[nodiscard]] std::vector<ConnectionHandle> borrowed(AddressIndex index) const;

  /// Whether the address has a connection of this worker's own that works.
  [[gnu::cold]] [[nodiscard]] bool has_own(AddressIndex index, TimePoint now) const;

  /// A connection of this worker's own that takes queries; none when there is none.
  [[gnu::cold]] [[nodiscard]] ConnectionHandle own_ready(AddressIndex index, TimePoint now) const;
  /// The connection that siblings may use now: rather than none at all a mute one, for it may have but a question
  /// without an answer, and holds a place that the server gives to no other.
  [[gnu::cold]] [[nodiscard]] ConnectionHandle lendable(AddressIndex index, TimePoint now) const;

  /// The address with this Config::address_number(), if there is one.
  [[gnu::cold]] [[nodiscard]] std::optional<AddressIndex> index_of(std::size_t number) const;

  /// Tells the siblings what connections to the address there are.
  [[gnu::cold]] void publish(AddressIndex index, TimePoint now);
  [[gnu::cold]] void publish_all(TimePoint now);
  /// Until the next time they are told, the siblings are to know of none.
  [[gnu::cold]] void withhold(AddressIndex index);

  /// Creates the entry of a new connection; the caller dials.
  [[gnu::cold]] ConnectionHandle add(AddressIndex target, TimePoint now);

  /// Removes the entry and destroys the connection.
  [[gnu::cold]] void remove(ConnectionHandle handle, TimePoint now);

  /// The connections of the upstream that are not ready yet and need not become so, now that another one is: an outage
  /// has piled them up, or the upstream has connections enough.
  [[nodiscard]] std::vector<ConnectionHandle> surplus_dials(std::size_t upstream, TimePoint now) const;

  /// The connection to do without now that `latest` is ready; none while there are no more than kMaxConnections and
  /// kMaxMute. Never one that works and owes answers, nor the last one that works.
  [[gnu::cold]] [[nodiscard]] ConnectionHandle surplus_connection(ConnectionHandle latest, TimePoint now) const;

  /// Records that the connection can carry queries.
  void mark_ready(ConnectionHandle handle, TimePoint now);

  /// When a connection's time limit next changes something.
  [[nodiscard]] TimePoint next_event();

  /// Of the connections of `upstream` that take queries, that `suit`, and that were ready or answered since
  /// `fresh_since`: the first address's first that is comfortable, so that queries gather on few connections and leave
  /// in few writes; else the least loaded. An own one before a sibling's.
  template <class Suits>
  [[nodiscard]] ConnectionHandle best_ready(const Upstream& upstream, TimePoint fresh_since, TimePoint now,
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

  /// One of the connections to the address, whatever its standing.
  template <class Suits>
  [[nodiscard]] ConnectionHandle find_connection(AddressIndex index, Suits suits) const {
    for (const ConnectionHandle handle : upstreams_[index.upstream].connections) {
      const PooledConnection& connection = connections_.get(handle);
      if (connection.address == index.address && suits(connection)) return handle;
    }
    return {};
  }

  /// The connections to the upstream whose standing allows `what`, or is `standing`.
  [[nodiscard]] std::size_t count(const Upstream& upstream, bool StandingRules::*what, TimePoint now) const;
  [[nodiscard]] std::size_t count(const Upstream& upstream, Standing standing, TimePoint now) const;
  [[nodiscard]] bool has(AddressIndex index, bool StandingRules::*what, TimePoint now) const;
  /// Those that are not ready yet.
  [[nodiscard]] static std::size_t count_dials(const Upstream& upstream);

  /// When a connection may be made in place of those that are to be replaced: once each patience, whatever wears them
  /// out.
  [[nodiscard]] TimePoint next_replacement(const Upstream& upstream, TimePoint now) const;
  /// Until when the dials to the upstream that are under way may take without being slow; `now` when there is none.
  [[nodiscard]] TimePoint prompt_dials_until(const Upstream& upstream, TimePoint now) const;

  /// What is known of the siblings' connections.
  [[nodiscard]] const SharedConnections& shared() const { return shared_; }

 private:
  std::vector<Upstream> upstreams_;
  Slab<PooledConnection> connections_;
  SharedConnections shared_;
  const Duration patience_;
  Random& random_;
};

}  // namespace dotrelay
