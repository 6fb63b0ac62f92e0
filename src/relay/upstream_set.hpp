// The upstreams in failover order with the state of their connections, and the rule by which one is chosen. Plain data:
// it answers questions, Forwarder acts on the answers.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/slab.hpp"
#include "config/config.hpp"
#include "relay/candidates.hpp"
#include "relay/query.hpp"
#include "relay/shared_connections.hpp"
#include "relay/upstream.hpp"

#include <optional>
#include <span>
#include <string>
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

  /// Ways through siblings to one address, those that are mute included.
  static constexpr std::size_t kMaxBorrowed = 8;

  /// `health` has an entry for each address, in the order of the configuration, and outlives the set. `patience`: no
  /// connection is replaced twice within it.
  UpstreamSet(const std::vector<UpstreamConfig>& configs, std::span<SharedHealth> health, SharedConnections shared,
              Duration patience, Random& random);

  [[nodiscard]] std::size_t size() const { return upstreams_.size(); }
  [[nodiscard]] UpstreamMask everyone() const { return UpstreamMask::first(upstreams_.size()); }
  [[nodiscard]] Upstream& operator[](std::size_t index) { return upstreams_[index]; }
  [[nodiscard]] UpstreamAddress& address(AddressIndex index) {
    return upstreams_[index.upstream].addresses[index.address];
  }
  [[nodiscard]] Slab<PooledConnection>& connections() { return connections_; }
  [[nodiscard]] const Slab<PooledConnection>& connections() const { return connections_; }

  [[nodiscard]] const std::string& label(AddressIndex index) const {
    return upstreams_[index.upstream].addresses[index.address].label;
  }

  /// What a query is to do next.
  struct Choice {
    enum class Kind : std::uint8_t {
      send,    ///< on `connection`
      dial,    ///< open a connection to `target`, and wait for it
      borrow,  ///< use a sibling's connection to `target`
      wait,    ///< for a dial that is under way
      none,    ///< nothing is usable
    };
    Kind kind = Kind::none;
    ConnectionHandle connection;
    AddressIndex target;  ///< unless nothing is usable
  };

  /// The first open candidate in the order that works as far as is known. Mute connections never count. What is not
  /// trusted yet, or answers badly, comes after all that is good. A query that is not `patient` waits for no dial while
  /// any candidate has a connection.
  [[nodiscard]] Choice choose(const Candidates& candidates, bool patient, TimePoint now);

  /// A ready connection to an address of `among` before `before` that is in trouble, due to be tried with a copy of a
  /// query; none when there is none.
  [[nodiscard]] ConnectionHandle trial_by_copy(UpstreamMask among, AddressIndex before, TimePoint now);

  /// Whether any of them has a connection that works.
  [[nodiscard]] bool any_usable(UpstreamMask among, TimePoint now) const;

  /// The addresses of `among` that are due for a trial by a new connection: those of upstreams without one, and where
  /// a query was sent to `used`, those before it at its upstream, and itself when only connections from before its
  /// trouble answer; what comes after `used` is not tried. `urgent`: queries wait and nothing is usable; then dials
  /// under way do not count as long as there are fewer than kMaxDials.
  [[nodiscard]] std::vector<AddressIndex> trials_due(UpstreamMask among, std::optional<AddressIndex> used, bool urgent,
                                                     TimePoint now) const;

  /// Where another connection to the upstream should go, if it should, now that `used` has one more query: when even
  /// its least loaded connection has plenty.
  [[nodiscard]] std::optional<AddressIndex> wants_more(ConnectionHandle used, TimePoint now) const;

  /// Whether this worker looks for itself if the route to the address is back: once a second at most, whatever the
  /// other workers do, for without a route a dial costs one system call and has its result at once.
  [[gnu::cold]] [[nodiscard]] bool probes_route(AddressIndex index, TimePoint now) const;

  /// Whether there is room for another dial beside those that are under way.
  [[gnu::cold]] [[nodiscard]] bool may_dial_beside(AddressIndex index) const;

  /// Whether the address has a connection that works.
  [[nodiscard]] bool has_usable(AddressIndex index, TimePoint now) const;

  /// Until when the dials to upstreams of `among` that are under way may take without being slow; `now` when there is
  /// none.
  [[nodiscard]] TimePoint prompt_dials_until(UpstreamMask among, TimePoint now) const;

  /// The same for a query that has nobody else: an address that was never reached yet may take the patience, and an
  /// upstream counts, too, that must wait with its next dial.
  [[gnu::cold]] [[nodiscard]] TimePoint hope_until(UpstreamMask among, TimePoint now) const;

  /// Whether waiting can help a query that may use `among`: one of them is being dialled or may come back within
  /// seconds.
  [[gnu::cold]] [[nodiscard]] bool worth_waiting(UpstreamMask among) const;

  /// The epoch for which an answer on `from` to a query sent at `sent_at` is proof. A connection from before the latest
  /// trouble shows that the address answers; a ready one from after it, that others can be made.
  [[gnu::cold]] [[nodiscard]] Health::Epoch proven_epoch(const PooledConnection& from, TimePoint sent_at) const;

  /// Tells the other workers which addresses have a handshake under way here, so that they dial them seldom.
  [[gnu::cold]] void note_handshakes(TimePoint now);

  /// A dial to the address that began at `begun` was refused: whether the server is down or wants no more connections.
  [[gnu::cold]] [[nodiscard]] SharedConnections::Verdict judge_refusal(AddressIndex index, TimePoint begun) const {
    return shared_.judge(address_of(index).number, begun);
  }

  /// Queries are to use or to await a sibling's connection for a while, because the own dial was refused.
  [[gnu::cold]] void await_sibling(AddressIndex index, TimePoint now);
  /// Whether any query may be waiting for that; once more when the time is over.
  [[nodiscard]] bool awaits_sibling(TimePoint now) {
    const TimePoint until = await_sibling_until_;
    if (now >= until) await_sibling_until_ = {};
    return until != TimePoint{};
  }

  /// The server has refused a connection beside a sibling's, and a sibling has one still.
  [[gnu::cold]] [[nodiscard]] bool limited(AddressIndex index, TimePoint now) const;

  /// An address of `among` in trouble to which a sibling has a connection all the same.
  [[gnu::cold]] [[nodiscard]] std::optional<AddressIndex> lent_in_trouble(UpstreamMask among, TimePoint now) const;

  /// Creates the entry of a way through a sibling, which is ready at once; the caller connects. None when no sibling
  /// has a connection that is not in use here already.
  [[gnu::cold]] ConnectionHandle add_borrowed(AddressIndex target, TimePoint now);

  /// The ways through siblings to the address.
  [[gnu::cold]] [[nodiscard]] std::vector<ConnectionHandle> borrowed(AddressIndex index) const;

  /// Whether the address has a connection of this worker's own that works.
  [[gnu::cold]] [[nodiscard]] bool has_own(AddressIndex index, TimePoint now) const;

  /// A connection of this worker's own that takes queries; none when there is none.
  [[gnu::cold]] [[nodiscard]] ConnectionHandle own_ready(AddressIndex index, TimePoint now) const;
  /// The connection that siblings may use now: rather than none at all a mute one, for it may have but a question
  /// without an answer, and holds a place that the server gives nobody else.
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

  /// When a trial that is due or a connection's time limit next changes something. `urgent`: the upstreams that
  /// trials_due() is asked for urgently.
  [[nodiscard]] TimePoint next_event(UpstreamMask urgent, TimePoint now);

 private:
  template <class Suits>
  [[nodiscard]] ConnectionHandle best_ready(const Upstream& upstream, TimePoint fresh_since, TimePoint now,
                                            Suits suits) const;
  [[nodiscard]] ConnectionHandle trusted_connection(std::size_t index, TimePoint fresh_since, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] Choice wait_or_dial(std::size_t index, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] Choice choose_unsettled(std::size_t index, TimePoint now) const;
  /// The connections to the upstream whose standing allows `what`.
  [[nodiscard]] std::size_t count(const Upstream& upstream, bool StandingRules::*what, TimePoint now) const;
  [[nodiscard]] std::size_t count(const Upstream& upstream, Standing standing, TimePoint now) const;
  [[nodiscard]] bool has(AddressIndex index, bool StandingRules::*what, TimePoint now) const;
  [[nodiscard]] const UpstreamAddress& address_of(AddressIndex index) const {
    return upstreams_[index.upstream].addresses[index.address];
  }
  template <class Suits>
  [[nodiscard]] ConnectionHandle find_connection(AddressIndex index, Suits suits) const;
  [[gnu::cold]] [[nodiscard]] std::uint16_t lender_for(AddressIndex index, bool again, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] bool gets_none(AddressIndex index, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] bool must_borrow(AddressIndex index, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] bool may_borrow(AddressIndex index, TimePoint now) const;
  [[nodiscard]] bool proves_itself(AddressIndex index, TimePoint now) const;
  [[nodiscard]] bool wants_trial(AddressIndex index, bool beside, TimePoint now) const;
  [[nodiscard]] bool may_dial(AddressIndex index, TimePoint now) const;
  [[nodiscard]] TimePoint next_urgent_dial(AddressIndex index, TimePoint now) const;
  [[nodiscard]] TimePoint next_replacement(const Upstream& upstream, TimePoint now) const;
  [[nodiscard]] TimePoint prompt_dials_until(const Upstream& upstream, TimePoint now) const;
  [[nodiscard]] static std::size_t count_dials(const Upstream& upstream);

  std::vector<Upstream> upstreams_;
  Slab<PooledConnection> connections_;
  SharedConnections shared_;
  TimePoint await_sibling_until_{};
  const Duration patience_;
  Random& random_;
};

}  // namespace dotrelay
