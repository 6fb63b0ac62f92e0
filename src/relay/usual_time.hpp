// The time within which an upstream answers nearly always: an estimate of the 95th percentile ("The Tail at Scale",
// CACM 2013, hedges there: one query in twenty is asked twice then). It moves by a step for each answer: up by nineteen
// parts when one was later, down by one when it was not, so it rests where one in twenty is later.
#pragma once

#include "base/clock.hpp"

#include <algorithm>

namespace dotrelay {

class UsualTime {
 public:
  /// Nothing is known yet: longer than most resolvers take for what they have cached.
  static constexpr Duration kInitial = std::chrono::milliseconds(100);
  /// Below this, scheduling on a busy machine looks like lateness.
  static constexpr Duration kLeast = std::chrono::milliseconds(20);
  static constexpr Duration kMost = std::chrono::seconds(1);

  [[nodiscard]] Duration get() const { return estimate_; }

  void on_answer(Duration took) { took > estimate_ ? on_late() : move(-kStep); }
  /// There is no answer yet, and get() has passed.
  void on_late() { move(19 * kStep); }

 private:
  static constexpr int kStep = 10;  // thousandths

  void move(int thousandths) { estimate_ = std::clamp(estimate_ + estimate_ * thousandths / 1000, kLeast, kMost); }

  Duration estimate_ = kInitial;
};

}  // namespace dotrelay
