// See clock.hpp.
#include "base/clock.hpp"

#include <cstdio>

namespace dotrelay {

std::string to_text(Duration duration) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (milliseconds < 1000) return std::to_string(milliseconds) + " ms";
  if (milliseconds >= 100'000) return std::to_string((milliseconds + 500) / 1000) + " s";
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", static_cast<double>(milliseconds) / 1000.0);
  return text;
}

}  // namespace dotrelay
