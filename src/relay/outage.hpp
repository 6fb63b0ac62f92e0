// A time in which queries wait and no upstream is usable. When it lasts, each further query waits only shortly: a stub
// resolver with a second nameserver goes on, and a person learns the cause. Dials go on as before.
#pragma once

#include "base/clock.hpp"

#include <optional>
#include <utility>

namespace dotrelay {

class Outage {
 public:
  /// After this time a query waits at most kShortWait (or its deadline, when that is less).
  static constexpr Duration kLong = std::chrono::seconds(10);
  static constexpr Duration kShortWait = std::chrono::seconds(1);
  /// When nobody has asked for so long, nothing is known of the present: the next query begins a new outage.
  static constexpr Duration kRemembered = std::chrono::minutes(5);

  /// A query waits, and nothing is usable.
  void on_wait(TimePoint now) {
    if (!since_ || now - latest_ > kRemembered) since_ = now;
    latest_ = now;
  }

  [[nodiscard]] bool lasts(TimePoint now) const { return since_ && now - *since_ >= kLong; }

  /// True the first time in this outage: the log is to say so. Begins one if none has begun.
  [[nodiscard]] bool tell(TimePoint now) {
    if (!since_) on_wait(now);
    return !std::exchange(told_, true);
  }

  /// An upstream is usable. The length of the outage, if it was told.
  std::optional<Duration> end(TimePoint now) {
    const std::optional<TimePoint> since = std::exchange(since_, std::nullopt);
    return std::exchange(told_, false) && since ? std::optional(now - *since) : std::nullopt;
  }

  /// The network is another one, or has slept: what was found out about the old one says nothing.
  void restart(TimePoint now) {
    if (since_) since_ = latest_ = now;
  }

 private:
  std::optional<TimePoint> since_;
  TimePoint latest_{};
  bool told_ = false;
};

}  // namespace dotrelay
