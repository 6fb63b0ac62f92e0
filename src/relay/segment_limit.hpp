// How large the TCP segments of connections to an upstream address may be, where larger packets are lost on the way and
// nothing says so (an MTU black hole, RFC 2923 2.1): TCP connects, the ClientHello is acknowledged, and the server's
// flight never comes. Such a handshake is tried once more beside the first with smaller segments (TCP_MAXSEG), and what
// works is remembered for all workers.
#pragma once

#include "base/clock.hpp"
#include "relay/shared_health.hpp"

#include <cstdint>

namespace dotrelay {

class SegmentLimit {
 public:
  /// What IPv6 carries on any path (1280 octets, less 60 of headers), and what every IPv4 host must accept (RFC 9293
  /// 3.7.1).
  static constexpr std::uint16_t kSmall = 1220;
  static constexpr std::uint16_t kSmallest = 536;
  /// A handshake without any progress for so long gets the company of another with smaller segments. Servers take a few
  /// milliseconds for theirs.
  static constexpr Duration kStall = std::chrono::seconds(1);
  /// How often a handshake is looked at.
  static constexpr Duration kLook = std::chrono::milliseconds(100);
  /// For so long a limit is used before the path is tried without again.
  static constexpr Duration kRemembered = std::chrono::hours(1);
  /// For so long a limit is tried that has not been proven.
  static constexpr Duration kSuspected = std::chrono::seconds(10);

  /// What is proven goes to `shared`, for all workers.
  explicit SegmentLimit(SharedHealth& shared) : shared_(shared) {}

  /// The octets that a segment of a connection dialled now may have; 0: as many as the path seems to take.
  [[nodiscard]] std::uint16_t get(TimePoint now) const {
    if (suspected(now)) return suspected_;
    const std::uint32_t word = shared_.segment_limit.load(std::memory_order_relaxed);
    const std::uint16_t left = static_cast<std::uint16_t>((word >> 16) - minutes_of(now));
    return word != 0 && left > 0 && left <= kMinutes ? static_cast<std::uint16_t>(word) : std::uint16_t{0};
  }

  /// Large packets may be lost, and it is being found out.
  [[nodiscard]] bool suspected(TimePoint now) const { return now < suspected_until_; }

  /// The handshake of a connection that was dialled with `limit` does not go on. True when another should be dialled,
  /// with what get() gives now.
  [[gnu::cold]] bool on_stall(std::uint16_t limit, TimePoint now) {
    const std::uint16_t current = get(now);
    const bool outdated = current != 0 && (limit == 0 || limit > current);
    const std::uint16_t next = smaller_than(limit);
    if (next == 0 || outdated) return false;
    suspected_ = next;
    suspected_until_ = now + kSuspected;
    return true;
  }

  /// A connection that was dialled with `limit` is made. True when that shows that larger packets are lost.
  [[gnu::cold]] bool on_ready(std::uint16_t limit, TimePoint now) {
    const bool proof = suspected(now) && limit != 0;
    suspected_until_ = {};
    if (proof) {
      const auto until = static_cast<std::uint32_t>(static_cast<std::uint16_t>(minutes_of(now) + kMinutes));
      shared_.segment_limit.store(until << 16 | limit, std::memory_order_relaxed);
    }
    return proof;
  }

 private:
  static constexpr std::uint16_t kMinutes =
      static_cast<std::uint16_t>(std::chrono::duration_cast<std::chrono::minutes>(kRemembered).count());

  static std::uint16_t minutes_of(TimePoint time) {
    return static_cast<std::uint16_t>(
        std::chrono::duration_cast<std::chrono::minutes>(time.time_since_epoch()).count());
  }

  /// 0: there is none.
  [[nodiscard]] std::uint16_t smaller_than(std::uint16_t limit) const {
    if (limit == 0) {
      // What was needed an hour ago may be needed again.
      const auto before = static_cast<std::uint16_t>(shared_.segment_limit.load(std::memory_order_relaxed));
      return before != 0 ? before : kSmall;
    }
    return limit > kSmallest ? kSmallest : std::uint16_t{0};
  }

  SharedHealth& shared_;
  std::uint16_t suspected_ = 0;
  TimePoint suspected_until_{};
};

}  // namespace dotrelay
