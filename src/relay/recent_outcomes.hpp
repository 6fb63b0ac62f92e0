// Whether the latest few outcomes of something were mostly bad: enough of them to mean it, few enough to notice soon.
#pragma once

#include <bit>
#include <cstdint>

namespace dotrelay {

class RecentOutcomes {
 public:
  static constexpr int kRemembered = 8;
  /// With fewer bad ones a single slow domain, or one that is broken, would count for a slow or broken upstream.
  static constexpr int kMost = 5;

  void add(bool bad) { latest_ = static_cast<std::uint8_t>(latest_ << 1 | (bad ? 1 : 0)); }
  void clear() { latest_ = 0; }

  [[nodiscard]] bool mostly_bad() const { return std::popcount(latest_) >= kMost; }

 private:
  std::uint8_t latest_ = 0;
};

}  // namespace dotrelay
