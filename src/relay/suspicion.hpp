// A connection whose octets are acknowledged later than on a living path is suspected of a dead one. Its queries are
// asked elsewhere at once, but it is kept: the peer may delay its acknowledgements (RFC 1122 4.2.3.2), or a queue on
// the way may have filled. It is given up when another connection has shown meanwhile that answers can come.
#pragma once

#include "base/clock.hpp"
#include "relay/health.hpp"

#include <optional>

namespace dotrelay {

class Suspicion {
 public:
  /// The longest delay that TCP allows for an acknowledgement.
  static constexpr Duration kKept = std::chrono::milliseconds(500);

  [[nodiscard]] bool active() const { return since_ != kNever; }
  [[nodiscard]] TimePoint since() const { return since_; }

  /// `noted`: the epoch of the trouble that was noted for it in the address's Health; none when the address was in
  /// trouble already.
  void begin(TimePoint now, std::optional<Health::Epoch> noted) {
    since_ = now;
    noted_ = noted;
  }
  void end() { since_ = kNever; }
  [[nodiscard]] std::optional<Health::Epoch> noted() const { return noted_; }

  /// `latest_proof`: when the latest query left that any other connection has answered. Until one was answered that
  /// left after the suspicion, all paths may be as slow as this one.
  [[nodiscard]] bool confirmed(TimePoint latest_proof, TimePoint now) const {
    return active() && now - since_ >= kKept && latest_proof >= since_;
  }

 private:
  TimePoint since_ = kNever;
  std::optional<Health::Epoch> noted_;
};

}  // namespace dotrelay
