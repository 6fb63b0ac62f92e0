// See clock_watch.hpp.
#include "net/clock_watch.hpp"

#include <cerrno>
#include <cstdint>
#include <limits>
#include <sys/timerfd.h>
#include <unistd.h>

namespace dotrelay {

UniqueFd make_clock_timer() {
  UniqueFd timer(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return {};
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<std::int32_t>::max();  // 2038: also a 32-bit time_t holds it
  if constexpr (sizeof(time_t) > 4) never.it_value.tv_sec *= 2;      // 2106
  if (timerfd_settime(timer.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) != 0) return {};
  return timer;
}

bool clock_was_set(int timer) {
  std::uint64_t expirations = 0;
  return read(timer, &expirations, sizeof expirations) < 0 && errno == ECANCELED;
}

ClockWatch::ClockWatch(Loop& loop, std::function<void()> was_set)
    : was_set_(std::move(was_set)), timer_(make_clock_timer()) {
  if (!timer_) return;
  poller_.emplace(loop, timer_.get(), static_cast<PollListener&>(*this));
  poller_->watch(true, false);
}

void ClockWatch::on_poll(bool, bool) noexcept {
  if (clock_was_set(timer_.get())) was_set_();
}

}  // namespace dotrelay
