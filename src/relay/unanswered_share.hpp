// How many unanswered queries each client may leave behind. A query that is given up keeps its ID on the connection
// (pending_queries.hpp), and a connection that has too many of those must be replaced: without a bound, one client that
// asks for names without an answer makes handshakes for all. Only queries that a working connection did not answer
// count; an outage is no client's fault. What counts is forgotten with time. Clients are places of ClientQuota.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace dotrelay {

class UnansweredShare {
 public:
  /// IDs that a client may leave behind at once, half of what wears a connection out, and how many of them are
  /// forgotten each second: a resolver with 1,000 clients behind it and one unanswerable name in a hundred stays below.
  static constexpr unsigned kShare = 128;
  static constexpr unsigned kForgottenASecond = 32;
  /// A client that has used its share up begins no further query while so many of its queries wait.
  static constexpr unsigned kMaxWaiting = 64;

  /// The client has left `ids` IDs behind.
  void add(std::uint32_t client, std::size_t ids, TimePoint now) {
    if (ids == 0) return;
    if (any_) forget(now);
    if (!any_) forgotten_at_ = now;
    any_ = true;
    std::uint8_t& level = levels_[client % kPlaces];
    level = static_cast<std::uint8_t>(std::min<std::size_t>(level + ids, kMost));
  }

  /// Whether the client has used its share up.
  [[nodiscard]] bool used_up(std::uint32_t client, TimePoint now) {
    if (!any_) [[likely]]
      return false;
    forget(now);
    return levels_[client % kPlaces] >= kShare;
  }

 private:
  static constexpr std::size_t kPlaces = 4096;
  /// Nothing beyond is remembered, so that a client is free again within two seconds of its last such query.
  static constexpr std::size_t kMost = kShare + 2 * kForgottenASecond;
  static_assert(kMost <= 255);

  [[gnu::cold]] void forget(TimePoint now) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - forgotten_at_);
    if (seconds.count() <= 0) return;
    forgotten_at_ += seconds;
    const auto forgotten = std::min<std::int64_t>(seconds.count() * kForgottenASecond, kMost);
    any_ = false;
    for (std::uint8_t& level : levels_) {
      level = static_cast<std::uint8_t>(std::max<std::int64_t>(level - forgotten, 0));
      any_ = any_ || level > 0;
    }
  }

  std::array<std::uint8_t, kPlaces> levels_{};
  TimePoint forgotten_at_{};
  bool any_ = false;
};

}  // namespace dotrelay
