// Whether one upstream address works, as far as is known, and when to try it again. What one worker learns,
// all know: the state lies in SharedHealth. It learns from live traffic and never sends anything itself.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "relay/connection.hpp"
#include "relay/shared_health.hpp"

#include <string>
#include <string_view>

namespace dotrelay {

/// What is wrong with an upstream address. Each kind has log lines and a way of recovery of its own.
enum class Trouble : std::uint8_t {
  none,
  silent_path,     ///< its connections went silent; whether a fresh one does better is being tried
  unreachable,     ///< connections are refused, reset, or closed before any answer
  no_route,        ///< this host has no way there
  timed_out,       ///< no connection in time
  authentication,  ///< the certificate does not prove the upstream's identity
  tls,             ///< the handshake fails for another reason
  garbage,         ///< what comes is not DNS, or answers nothing that was asked
  slow,            ///< it answers, but persistently too late
  errors,          ///< it answers with errors where the next upstream has an answer
};

/// What a connection's end says of the address, if it was a failure.
Trouble trouble_of(CloseKind kind);

/// What is known of an address, for the workers of another configuration. Without trouble that the configuration may
/// have mended.
void copy_health(const SharedHealth& from, SharedHealth& to);

class Health {
 public:
  /// Between dials while queries wait and nothing is usable, so that recovery shows within a quarter of a second.
  static constexpr Duration kUrgentInterval = std::chrono::milliseconds(200);
  /// Exponential back-off between trials otherwise. A wrong certificate is rarely mended within a second.
  static constexpr Duration kFirstBackOff = std::chrono::milliseconds(200);
  static constexpr Duration kFirstAuthenticationBackOff = std::chrono::seconds(1);
  static constexpr Duration kMaxBackOff = std::chrono::seconds(5);
  /// An address that has worked for so long is trusted again: queries wait for its connections, and the next trouble
  /// begins with the shortest back-off. So one that comes and goes costs ever fewer handshakes.
  static constexpr Duration kSettlingTime = std::chrono::seconds(5);

  /// How many troubles there have been, in all workers together.
  using Epoch = std::uint32_t;

  /// `shared` outlives this object.
  explicit Health(SharedHealth& shared) : shared_(shared) {}

  [[nodiscard]] Epoch epoch() const;
  [[nodiscard]] Trouble trouble() const;
  [[nodiscard]] bool in_trouble() const { return trouble() != Trouble::none; }

  /// Its connections work, its answers are no good: it is passed over while another upstream is usable.
  [[nodiscard]] bool degraded() const;

  /// Trouble that waiting a few seconds does not mend: queries need not wait for it.
  [[nodiscard]] bool hopeless() const;

  /// Not in trouble, and not since kSettlingTime.
  [[nodiscard]] bool settled(TimePoint now) const;

  /// The trouble in the words of log lines and EDE texts; empty without trouble.
  [[nodiscard]] std::string cause() const;

  /// A trial of an address in trouble has failed, or the trouble is new. True when it should be told: the first since
  /// the address was proven to work, or one with another cause. `epoch`: epoch() when what has failed was begun; what
  /// is older than the latest known trouble tells nothing new, so that one event is not counted by every connection of
  /// every worker.
  bool on_trouble(Trouble trouble, std::string_view cause, Epoch epoch, TimePoint now, Random& random);

  /// An answer has come as it should, on a connection that was begun in `epoch`. True when trouble had been told and is
  /// over now. Connections from before the trouble say nothing about new ones.
  bool on_proof(Epoch epoch, TimePoint now);

  /// The path that went silent in `epoch` lives after all: back to what was before. False when something else has been
  /// learned since.
  [[gnu::cold]] bool withdraw(Epoch epoch, TimePoint now);

  /// Whether an answer has ended the latest trouble since `begun`: what was begun before and fails tells nothing new.
  [[nodiscard]] bool proven_since(TimePoint begun, TimePoint now) const;

  /// Whether the next trial is due, in all workers together.
  [[nodiscard]] bool trial_due(TimePoint now) const;
  [[nodiscard]] TimePoint next_trial(TimePoint now) const;
  /// This worker begins the trial that is due; the others wait for what comes of it.
  void claim_trial(TimePoint now);

  /// The way that the kernel took when the first worker looked.
  void note_first_way(std::uint32_t way) {
    std::uint32_t unknown = 0;
    shared_.way.compare_exchange_strong(unknown, way, std::memory_order_relaxed);
  }

  /// The way that the kernel takes to the address now, as Dialer::way_to() names it. True when it is another than was
  /// known: for one of the workers, which then calls retry_now().
  bool takes_way(std::uint32_t way) {
    const std::uint32_t before = shared_.way.exchange(way, std::memory_order_relaxed);
    return before != way && before != 0;
  }

  /// The network has changed: what had no connection is tried at once.
  void retry_now(TimePoint now);

 private:
  SharedHealth& shared_;
};

}  // namespace dotrelay
