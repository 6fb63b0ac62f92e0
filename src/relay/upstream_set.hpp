// The upstreams in failover order with the state of their connections, and the rule by which one is chosen. Plain data:
// it answers questions, Forwarder acts on the answers.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/slab.hpp"
#include "config/config.hpp"
#include "relay/connection.hpp"
#include "relay/health.hpp"
#include "relay/pending_queries.hpp"
#include "relay/query.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dotrelay {

/// A connection to an upstream, with what it owes.
struct PooledConnection {
  PooledConnection(std::size_t upstream, std::size_t address, TimePoint now, Random& random)
      : upstream(static_cast<std::uint8_t>(upstream)),
        address(static_cast<std::uint8_t>(address)),
        dialled_at(now),
        last_received(now),
        idle_since(now),
        pending(random) {}

  std::unique_ptr<Connection> connection;
  std::uint8_t upstream;
  std::uint8_t address;
  std::uint8_t bad_frames = 0;
  bool ready = false;
  bool slow = false;      ///< not ready after UpstreamSet::kSlowDial
  bool answered = false;  ///< has brought an answer
  TimePoint dialled_at;
  TimePoint last_received;
  TimePoint idle_since;
  PendingQueries pending;
};

struct UpstreamAddress {
  Endpoint endpoint;
  Health health;
  bool ever_ready = false;
  TimePoint no_more_until{};  ///< the server refused a further connection beside one that works
  std::size_t dials = 0;      ///< connections that are not ready yet
};

struct Upstream {
  const UpstreamConfig* config = nullptr;
  std::vector<UpstreamAddress> addresses;
  std::vector<ConnectionHandle> connections;
  std::string
      last_problem;  ///< "NAME (ADDRESS): cause" of the latest connection that failed or left queries unanswered
};

/// One address of one upstream.
struct AddressIndex {
  std::size_t upstream = 0;
  std::size_t address = 0;
};

class UpstreamSet {
 public:
  /// Ready connections to one upstream: more than one only under load, since each costs the server and a handshake.
  static constexpr std::size_t kMaxConnections = 4;
  /// Queries in flight on each ready connection before another is opened. Servers bound what one connection may have in
  /// flight (Knot Resolver: 100, Unbound: 32 at work) and then read no further.
  static constexpr std::size_t kComfortableLoad = 256;
  /// Connections to one upstream that are not ready yet: one each kUrgentInterval for as long as a dial may take.
  static constexpr std::size_t kMaxDials = 16;
  /// A dial that takes longer makes queries look at the next upstream. Above the round trips of a handshake across an
  /// ocean, below what a person notices.
  static constexpr Duration kSlowDial = std::chrono::milliseconds(300);
  /// A dial is given up then. Three SYNs have been sent by that time (RFC 6298: at 0, 1 and 3 s).
  static constexpr Duration kDialTimeout = std::chrono::milliseconds(3200);
  /// Idle connections are closed then, unless the server does so before (most public resolvers: after 10 s).
  static constexpr Duration kIdleTimeout = std::chrono::seconds(30);

  UpstreamSet(const std::vector<UpstreamConfig>& configs, Random& random);

  [[nodiscard]] std::size_t size() const { return upstreams_.size(); }
  [[nodiscard]] UpstreamMask everyone() const { return (UpstreamMask{1} << upstreams_.size()) - 1; }
  [[nodiscard]] Upstream& operator[](std::size_t index) { return upstreams_[index]; }
  [[nodiscard]] UpstreamAddress& address(AddressIndex index) {
    return upstreams_[index.upstream].addresses[index.address];
  }
  [[nodiscard]] Slab<PooledConnection>& connections() { return connections_; }

  /// "cloudflare (1.1.1.1:853)".
  [[nodiscard]] std::string label(AddressIndex index) const;

  /// What a query is to do next.
  struct Choice {
    enum class Kind : std::uint8_t {
      send,  ///< on `connection`
      dial,  ///< open a connection to `target`, and wait for it
      wait,  ///< for a dial that is under way
      none,  ///< nothing is usable
    };
    Kind kind = Kind::none;
    ConnectionHandle connection;
    AddressIndex target;  ///< its upstream is size() when nothing is usable
  };

  /// The first upstream in the order that is not in `excluded` and works as far as is known. At those in `stale`,
  /// connections dialled before `fresh_since` do not count.
  [[nodiscard]] Choice choose(UpstreamMask excluded, UpstreamMask stale, TimePoint fresh_since, TimePoint now);

  /// Whether any upstream could carry a query at once.
  [[nodiscard]] bool any_ready() const;

  /// The failing addresses of the upstreams before number `before` that are due for a trial. `urgent`: queries wait and
  /// nothing is usable; then dials under way do not count as long as there are fewer than kMaxDials.
  [[nodiscard]] std::vector<AddressIndex> trials_due(std::size_t before, bool urgent, TimePoint now) const;

  /// Where another connection to a loaded upstream should go, if it should.
  [[nodiscard]] std::optional<AddressIndex> wants_more(std::size_t upstream, TimePoint now) const;

  /// Whether the address has a ready connection.
  [[nodiscard]] bool has_ready(AddressIndex index) const;

  /// Whether waiting can help a query that may not use `excluded`: some other upstream is being dialled or may come
  /// back within seconds.
  [[nodiscard]] bool worth_waiting(UpstreamMask excluded) const;

  /// Creates the entry of a new connection; the caller dials.
  ConnectionHandle add(AddressIndex target, TimePoint now);

  /// Removes the entry and destroys the connection.
  void remove(ConnectionHandle handle);

  /// Records that the connection can carry queries.
  void mark_ready(ConnectionHandle handle, TimePoint now);

  /// When trials_due() or a connection's time limit next changes something. `urgent` as in trials_due().
  [[nodiscard]] TimePoint next_event(bool urgent, TimePoint now);

 private:
  [[nodiscard]] ConnectionHandle best_ready(const Upstream& upstream, TimePoint fresh_since) const;
  [[nodiscard]] std::size_t count_ready(const Upstream& upstream) const;
  [[nodiscard]] bool has_prompt_dial(const Upstream& upstream, TimePoint now) const;
  [[nodiscard]] static std::size_t count_dials(const Upstream& upstream);

  std::vector<Upstream> upstreams_;
  Slab<PooledConnection> connections_;
  Random& random_;
};

}  // namespace dotrelay
