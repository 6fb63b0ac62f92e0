// See clock.hpp.
#include "base/clock.hpp"

#include <cstdio>
#include <ctime>

namespace dotrelay {

Duration time_asleep() {
  timespec boot{};
  timespec awake{};
  clock_gettime(CLOCK_MONOTONIC, &awake);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  return std::chrono::seconds(boot.tv_sec - awake.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec - awake.tv_nsec);
}

std::string to_text(Duration duration) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (milliseconds < 1000) return std::to_string(milliseconds) + " ms";
  if (milliseconds >= 100'000) return std::to_string((milliseconds + 500) / 1000) + " s";
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", static_cast<double>(milliseconds) / 1000.0);
  return text;
}

}  // namespace dotrelay
