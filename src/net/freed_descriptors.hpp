// Word of a descriptor that was closed, for those that wait because the process has none left. Only connections that
// say so count; a waiter that has no other hope also sets a timer.
#pragma once

#include "net/loop.hpp"

#include <vector>

namespace dotrelay {

class FreedDescriptors {
 public:
  /// The loop outlives this object.
  explicit FreedDescriptors(Loop& loop) : loop_(loop) {}

  /// Has waiter.flush() called once, at the end of the turn in which the next descriptor is closed.
  void await(FlushTarget& waiter) { waiters_.push_back(&waiter); }
  /// Before the waiter goes, or when it waits no more.
  void forget(const FlushTarget& waiter) { std::erase(waiters_, &waiter); }

  /// A descriptor has been closed, or will be before the end of the turn.
  void one_freed() {
    if (!waiters_.empty()) wake();
  }

 private:
  [[gnu::cold]] void wake() {
    for (FlushTarget* const waiter : waiters_) loop_.flush_at_turn_end(*waiter);
    waiters_.clear();
  }

  Loop& loop_;
  std::vector<FlushTarget*> waiters_;
};

}  // namespace dotrelay
