// Time. Logic takes `now` as an argument; only the edges ask a clock, so no test sleeps.
#pragma once

#include <chrono>
#include <string>

namespace dotrelay {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

inline constexpr TimePoint kNever = TimePoint::max();

/// How long the machine has been suspended since it started; Clock does not count that time.
Duration time_asleep();

/// "250 ms", "4 s", "1.5 s": for log lines.
std::string to_text(Duration duration);

}  // namespace dotrelay
