// What a long round-trip time grants: the relay's usual limits are made for paths of some hundred milliseconds, and a
// satellite link or a mobile network with full queues has seconds. Plain arithmetic.
#pragma once

#include "base/clock.hpp"

#include <algorithm>

namespace dotrelay {

/// The times that hold for one connection.
class SlowPath {
 public:
  /// From TCP's connection to a session: TLS 1.3 takes one round trip, two when the server wants another key or speaks
  /// TLS 1.2; the third is for a retransmission, which the kernel sends after a second at most (RFC 6298).
  [[nodiscard]] static constexpr Duration handshake_limit(Duration round_trip) {
    return 3 * round_trip + std::chrono::seconds(1);
  }

  explicit SlowPath(Duration patience) : patience_(patience) {}

  /// A round-trip time as TCP measures it; zero changes nothing. `patience` is the usual one, `deadline` the client's.
  void measured(Duration round_trip, Duration patience, Duration deadline) {
    if (round_trip == Duration{}) return;
    soonest_answer_ = round_trip + round_trip / 8;
    const Duration wanted = round_trip * 3 / 2 + std::chrono::milliseconds(200);
    patience_ = std::max(patience, std::min(wanted, deadline * 3 / 4));
  }

  /// How long an answer may take before another upstream is asked whatever the budget, and the connection is mute.
  [[nodiscard]] Duration patience() const { return patience_; }
  /// No answer comes before that: what is not there yet is not late.
  [[nodiscard]] Duration soonest_answer() const { return soonest_answer_; }

 private:
  Duration patience_;
  Duration soonest_answer_{};
};

}  // namespace dotrelay
