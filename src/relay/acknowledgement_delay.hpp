// How long the TCP of an upstream address holds acknowledgements back, beyond the round-trip time and what every path
// is granted (UnacknowledgedWrites::kLeastSlack). RFC 1122 4.2.3.2 allows up to 500 ms. It is learned from
// acknowledgements that came late, so that such an address is suspected once and not at each slow answer.
#pragma once

#include "base/clock.hpp"
#include "relay/shared_health.hpp"

#include <algorithm>

namespace dotrelay {

class AcknowledgementDelay {
 public:
  /// RFC 1122 4.2.3.2.
  static constexpr Duration kMost = std::chrono::milliseconds(500);
  /// A delay that was not seen again for so long is forgotten: while it is known, a dead path is found out later.
  static constexpr Duration kKept = std::chrono::minutes(10);

  /// What is learned goes to `shared`, for all workers.
  explicit AcknowledgementDelay(SharedHealth& shared) : shared_(shared) {}

  /// Zero while nothing is known.
  [[nodiscard]] Duration get(TimePoint now) const {
    const std::uint32_t word = shared_.acknowledgement_delay.load(std::memory_order_relaxed);
    if (word == 0) return {};
    const std::uint32_t age = (seconds_of(now) - (word >> kBits)) & kSecondsMask;
    if (age >= std::chrono::duration_cast<std::chrono::seconds>(kKept).count()) return {};
    return std::min<Duration>(std::chrono::milliseconds(word & kMask), kMost);
  }

  /// An acknowledgement came so late. True when that is later than was known.
  bool learn(Duration delay, TimePoint now) {
    const Duration known = get(now);
    const Duration longest = std::min<Duration>(std::max(known, delay), kMost);
    const auto ms = static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(longest).count());
    shared_.acknowledgement_delay.store((seconds_of(now) & kSecondsMask) << kBits | ms, std::memory_order_relaxed);
    return longest > known;
  }

 private:
  // The word: when it was seen last, in seconds, and the delay in milliseconds.
  static constexpr unsigned kBits = 10;
  static constexpr std::uint32_t kMask = (1U << kBits) - 1;
  static constexpr std::uint32_t kSecondsMask = (1U << (32 - kBits)) - 1;
  static_assert(kMost < std::chrono::milliseconds(1 << kBits));

  static std::uint32_t seconds_of(TimePoint time) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
  }

  SharedHealth& shared_;
};

}  // namespace dotrelay
