// A connection to an upstream, with what it owes and what the relay remembers of it.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/slab.hpp"
#include "relay/connection.hpp"
#include "relay/health.hpp"
#include "relay/idle_close.hpp"
#include "relay/pending_queries.hpp"
#include "relay/slow_path.hpp"
#include "relay/standing.hpp"
#include "relay/stray_frames.hpp"
#include "relay/suspicion.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

namespace dotrelay {

/// One address of one upstream.
struct AddressIndex {
  std::size_t upstream = 0;
  std::size_t address = 0;

  friend bool operator==(const AddressIndex&, const AddressIndex&) = default;
};

struct PooledConnection {
  /// A dial is given up then, or SlowPath::handshake_limit() after TCP is connected when that is later. Three SYNs have
  /// been sent by that time (RFC 6298: at 0, 1 and 3 s).
  static constexpr Duration kConnectLimit = std::chrono::milliseconds(3200);
  /// The first look whether what was sent has been acknowledged: a living path does so within its round trip and the
  /// peer's delayed acknowledgement, 40 ms on Linux.
  static constexpr Duration kFirstLook = std::chrono::milliseconds(62);

  /// What is usual: a dial takes at most so long, and an answer.
  struct Usual {
    Duration dial;
    Duration patience;
  };

  PooledConnection(AddressIndex index, Health::Epoch epoch, const Usual& usual, TimePoint now, Random& random)
      : upstream(static_cast<std::uint8_t>(index.upstream)),
        address(static_cast<std::uint8_t>(index.address)),
        epoch(epoch),
        dialled_at(now),
        slow_at(now + usual.dial),
        dial_until(now + kConnectLimit),
        idle_since(now),
        slow_path(usual.patience),
        pending(random) {}

  [[nodiscard]] AddressIndex index() const { return {upstream, address}; }

  [[nodiscard]] Standing standing(TimePoint now) const {
    if (!ready) return Standing::connecting;
    if (ended) return Standing::ended;
    if (now >= mute_at) return suspicion.active() || doubted ? Standing::suspect : Standing::mute;
    if (pending.worn()) return Standing::worn;
    if (pending.full()) return Standing::busy;
    return borrowed() ? Standing::borrowed : Standing::good;
  }

  /// It is a way through a sibling.
  [[nodiscard]] bool borrowed() const { return lender != 0; }

  /// A query has been sent on it. `deadline`: the clients'.
  void on_sent(TimePoint now, Duration deadline) {
    idle_since = now;
    look_at = std::min(look_at, now + kFirstLook);
    if (mute_at != kNever) return;
    mute_at = now + slow_path.patience();
    useless_at = now + (borrowed() ? 1 : 2) * deadline;  // a lender gives guests up after one
  }

  /// The answer to what `id` is reserved for has come, readable or not. What that was.
  PendingQueries::Entry on_answer(std::uint16_t id, TimePoint now) {
    const PendingQueries::Entry entry = *pending.find(id);
    pending.remove(id);
    mute_at = useless_at = kNever;
    if (pending.live() == 0) idle_since = now;
    return entry;
  }

  /// What its standing allows.
  [[nodiscard]] const StandingRules& rules(TimePoint now) const { return rules_of(standing(now)); }

  /// A worn connection has come to its end: no client waits for an answer on it.
  [[nodiscard]] bool worn_out() const { return ready && pending.worn() && pending.live() == 0; }

  /// When it has been idle for too long. `limit`: what the server grants. Its replacement may be longer in coming.
  [[nodiscard]] TimePoint idle_end(Duration limit) const { return idle_since + (renewed ? IdleClose::kMost : limit); }

  std::unique_ptr<Connection> connection;
  std::uint8_t upstream;
  std::uint8_t address;
  std::uint8_t unused_renewals = 0;  ///< connections opened in advance before this one that no query used
  std::uint16_t segment_limit = 0;   ///< of its TCP segments; 0: none
  std::uint16_t lender = 0;          ///< the number of the worker that it leads through; 0: it is an own one
  bool ready = false;
  bool ended = false;     ///< it is closed; Forwarder::on_activity() takes its last answers, then removes it
  bool slow = false;      ///< not ready at slow_at
  bool answered = false;  ///< has brought an answer
  bool renewed = false;   ///< another connection was opened to replace this one before the server closes it
  Health::Epoch epoch;    ///< of the address, when it was dialled
  TimePoint dialled_at;
  TimePoint slow_at;
  TimePoint handshake_look_at = kNever;  ///< when to look whether its handshake goes on
  TimePoint dial_until;
  TimePoint ready_at{};
  TimePoint last_answer{};
  TimePoint idle_since;
  TimePoint look_at = kNever;     ///< when to look whether the path is alive
  TimePoint mute_at = kNever;     ///< when it counts as mute: it owes answers, and has brought none since the first
  TimePoint useless_at = kNever;  ///< when it is given up for that: no client waits any more for what might still come
  bool doubted = false;           ///< idle and mute because another connection to the address is suspected
  SlowPath slow_path;
  bool measured = false;  ///< TCP is connected, and dial_until is set by its round-trip time
  Suspicion suspicion;    ///< while it is active the connection is also mute
  StrayFrames stray_frames;
  PendingQueries pending;
};

}  // namespace dotrelay
