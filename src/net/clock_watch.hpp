// Tells when the clock of the day was set, as NTP does after the start of a machine without a battery for it. What was
// decided by the date of before (certificates that were refused) can then be tried again. Slewing is not told.
#pragma once

#include "base/unique_fd.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"

#include <functional>
#include <optional>

namespace dotrelay {

class ClockWatch final : private PollListener {
 public:
  /// `was_set` must not destroy the watch. Where the kernel gives no timer nothing is ever told.
  ClockWatch(Loop& loop, std::function<void()> was_set);

  [[nodiscard]] bool active() const { return poller_.has_value(); }

 private:
  void on_poll(bool readable, bool writable) noexcept override;

  std::function<void()> was_set_;
  UniqueFd timer_;
  std::optional<Poller> poller_;  // closed before the descriptor
};

/// A timer of CLOCK_REALTIME that never expires and whose reads fail with ECANCELED once the clock was set.
UniqueFd make_clock_timer();

/// Whether the clock was set since the last call. The timer is make_clock_timer()'s.
bool clock_was_set(int timer);

}  // namespace dotrelay
