// Upstreams in the order in which they are to be asked, each once, as a value.
#pragma once

#include "config/config.hpp"
#include "relay/upstream_mask.hpp"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace dotrelay {

class UpstreamOrder {
 public:
  /// Of none.
  UpstreamOrder() = default;
  /// Of a set: in the order of the configuration.
  UpstreamOrder(UpstreamMask members) {
    for (std::size_t i = 0; i < kMaxUpstreams; ++i) {
      if (members.contains(i)) add(i);
    }
  }

  /// Puts an upstream that is not in it yet behind those that are.
  void add(std::size_t upstream) {
    assert(size_ < upstreams_.size() && !members_.contains(upstream));
    upstreams_[size_++] = static_cast<std::uint8_t>(upstream);
    members_.add(upstream);
  }

  [[nodiscard]] UpstreamMask members() const { return members_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// Of an order that is not empty.
  [[nodiscard]] std::size_t first() const { return upstreams_[0]; }

  /// Its upstreams that are in `some`, in this order.
  [[nodiscard]] UpstreamOrder only(UpstreamMask some) const {
    UpstreamOrder left;
    for (const std::size_t upstream : *this) {
      if (some.contains(upstream)) left.add(upstream);
    }
    return left;
  }

  [[nodiscard]] const std::uint8_t* begin() const { return upstreams_.data(); }
  [[nodiscard]] const std::uint8_t* end() const { return upstreams_.data() + size_; }

 private:
  std::array<std::uint8_t, kMaxUpstreams> upstreams_{};
  std::uint8_t size_ = 0;
  UpstreamMask members_;
};

}  // namespace dotrelay
