// Frames on one connection that match no query. Now and then one comes from any server (a second answer, one to a
// question that it misread); many within a short time mean that what comes is not what was asked for.
#pragma once

#include "base/clock.hpp"

#include <array>
#include <chrono>
#include <cstddef>

namespace dotrelay {

class StrayFrames {
 public:
  /// So many within kWithin are too many.
  static constexpr std::size_t kMost = 8;
  static constexpr Duration kWithin = std::chrono::seconds(10);

  /// One has come. True when it makes too many.
  [[nodiscard]] bool add(TimePoint now) {
    TimePoint& oldest = latest_[next_];
    const bool too_many = oldest != TimePoint{} && now - oldest < kWithin;
    oldest = now;
    next_ = (next_ + 1) % latest_.size();
    return too_many;
  }

 private:
  std::array<TimePoint, kMost - 1> latest_{};  ///< in a ring; the next place holds the oldest
  std::size_t next_ = 0;
};

}  // namespace dotrelay
