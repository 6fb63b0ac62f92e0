// Which upstreams a query may be sent to, in which order: those that may serve it at all, less what its own course has
// ruled out. What is known of the upstreams themselves (their health, their connections) is not in here.
#pragma once

#include "base/clock.hpp"
#include "relay/upstream_mask.hpp"
#include "relay/upstream_order.hpp"

#include <cstddef>

namespace dotrelay {

class Candidates {
 public:
  /// `order`: the upstreams that may serve the query, the first that works before the others. No other one gets it,
  /// whatever happens.
  explicit Candidates(const UpstreamOrder& order) : order_(order) {}

  [[nodiscard]] const UpstreamOrder& order() const { return order_; }
  [[nodiscard]] UpstreamMask eligible() const { return order_.members(); }
  /// Those that are not to be asked again.
  [[nodiscard]] UpstreamMask asked() const { return asked_; }
  /// Those that may be asked now.
  [[nodiscard]] UpstreamMask open() const { return order_.members() - asked_; }
  [[nodiscard]] UpstreamOrder open_in_order() const { return order_.only(open()); }

  /// Its connection to the upstream has closed before the answer.
  [[nodiscard]] bool is_stale(std::size_t upstream) const { return stale_.contains(upstream); }
  /// At the upstream, only connections that were ready or answered since then count; zero: all.
  [[nodiscard]] TimePoint fresh_since(std::size_t upstream) const {
    return stale_.contains(upstream) ? fresh_since_ : TimePoint{};
  }

  void rule_out(std::size_t upstream) { asked_.add(upstream); }
  void reopen(std::size_t upstream) { asked_.remove(upstream); }
  void reopen(UpstreamMask upstreams) { asked_.remove(upstreams); }
  /// As at the beginning.
  void reopen_all() { asked_ = stale_ = {}; }

  /// The connection that the query was sent on has ended. It had gone stale, which says nothing about the upstream, and
  /// other pooled ones may be as stale: the second try there has a fresh one. There is none when the upstream has
  /// spoken (`heard`).
  void on_lost(std::size_t upstream, bool heard, TimePoint now) {
    stale_.contains(upstream) || heard ? asked_.add(upstream) : asked_.remove(upstream);
    stale_.add(upstream);
    fresh_since_ = now;
  }

  /// No fresh connection is to be had: those that may be stale count again. False when that changes nothing.
  bool accept_stale() {
    if ((stale_ - asked_).empty() || fresh_since_ == TimePoint{}) return false;
    fresh_since_ = {};
    return true;
  }

 private:
  UpstreamOrder order_;
  UpstreamMask asked_;
  UpstreamMask stale_;
  TimePoint fresh_since_{};
};

}  // namespace dotrelay
