// Whether one upstream address works, as far as its connections have shown, and when to try it again. Plain state: it
// learns from live traffic and never sends anything itself.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "relay/connection.hpp"

#include <optional>

namespace dotrelay {

class Health {
 public:
  /// Between dials while queries wait and nothing is usable, so that recovery shows within a quarter of a second.
  static constexpr Duration kUrgentInterval = std::chrono::milliseconds(200);
  /// Exponential back-off between trials otherwise. A wrong certificate is seldom mended within a second.
  static constexpr Duration kFirstBackOff = std::chrono::milliseconds(200);
  static constexpr Duration kFirstAuthenticationBackOff = std::chrono::seconds(1);
  static constexpr Duration kMaxBackOff = std::chrono::seconds(5);

  [[nodiscard]] bool failing() const { return failure_.has_value(); }

  /// The latest failure, while failing().
  [[nodiscard]] const CloseReason& failure() const { return *failure_; }

  /// Failing in a way that waiting a few seconds does not mend: queries need not wait for it.
  [[nodiscard]] bool hopeless() const {
    return failing() && (failure_->kind == CloseKind::authentication || failure_->kind == CloseKind::no_route);
  }

  /// A connection is ready: queries may try it.
  void on_ready() { failure_.reset(); }

  /// A connection brought its first answer: only that proves that the upstream works, and ends the back-off. True when
  /// there had been a failure since the last such proof.
  bool on_answer();

  /// True when this is news: the first failure since an answer, or one with another cause.
  bool on_failure(const CloseReason& reason, TimePoint now, Random& random);

  void on_dial(TimePoint now) { last_dial_ = now; }

  /// When a failing address may be dialled again. `urgent`: queries wait and nothing is usable.
  [[nodiscard]] TimePoint next_trial(bool urgent) const;

 private:
  std::optional<CloseReason> failure_;
  std::string told_;  ///< the latest failure's text, until an answer comes
  std::optional<TimePoint> last_dial_;
  TimePoint back_off_until_{};
  Duration back_off_{};
};

}  // namespace dotrelay
