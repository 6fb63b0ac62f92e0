// Virtual time and what is to happen in it: a queue of actions, each at its instant, those of one instant in the order
// in which they were entered. Nothing here waits; the clock jumps to the next action.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace dotrelay::simulation {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Where virtual time begins. Not zero, which means "never" in many places.
inline constexpr TimePoint kBirth{std::chrono::hours(1)};

class Timeline {
 public:
  using Action = std::function<void()>;

  [[nodiscard]] TimePoint now() const { return now_; }

  /// Enters an action. One for an instant that has passed happens at once, behind those of this instant.
  void at(TimePoint when, Action action) {
    queue_.push_back({std::max(when, now_), order_++, std::move(action)});
    std::push_heap(queue_.begin(), queue_.end(), later);
  }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// When the next action is due; kNever when there is none.
  [[nodiscard]] TimePoint next() const { return queue_.empty() ? kNever : queue_.front().when; }

  /// Goes to the next action's instant and does it.
  void step() {
    std::pop_heap(queue_.begin(), queue_.end(), later);
    const Entry entry = std::move(queue_.back());
    queue_.pop_back();
    now_ = entry.when;
    entry.action();
  }

  /// Lets time pass, not beyond next().
  void go_to(TimePoint when) { now_ = std::max(now_, when); }

 private:
  struct Entry {
    TimePoint when;
    std::uint64_t order = 0;
    Action action;
  };
  static bool later(const Entry& left, const Entry& right) {
    return std::pair(left.when, left.order) > std::pair(right.when, right.order);
  }

  TimePoint now_ = kBirth;
  std::uint64_t order_ = 0;
  std::vector<Entry> queue_;
};

}  // namespace dotrelay::simulation
