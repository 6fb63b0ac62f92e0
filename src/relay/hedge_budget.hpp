// How many queries may be asked a second time because the first answer is late: a share of all queries, so that hedging
// cannot double the load of upstreams that are slow because they are overloaded.
#pragma once

#include <algorithm>

namespace dotrelay {

class HedgeBudget {
 public:
  /// What may be spent at once after a quiet time: enough to find out about an upstream that has turned slow.
  static constexpr double kBurst = 16;

  /// `share` in 0 to 1; 0: never.
  explicit HedgeBudget(double share) : share_(share) {}

  [[nodiscard]] bool enabled() const { return share_ > 0; }

  void on_query() { saved_ = std::min(kBurst, saved_ + share_); }

  /// Takes one, if one is left, for a query that is to be sent a second time.
  bool take() {
    if (!enabled() || saved_ < 1) return false;
    saved_ -= 1;
    return true;
  }
  /// The query that took it was not sent.
  void give_back() { saved_ = std::min(kBurst, saved_ + 1); }

 private:
  double share_;
  double saved_ = kBurst;
};

}  // namespace dotrelay
