// A set of upstreams by their numbers in the configuration, as a value of one word.
#pragma once

#include "config/config.hpp"

#include <cstddef>
#include <cstdint>

namespace dotrelay {

class UpstreamMask {
 public:
  /// Of none.
  constexpr UpstreamMask() = default;
  /// Of one.
  explicit constexpr UpstreamMask(std::size_t upstream) : bits_(std::uint32_t{1} << upstream) {}

  /// Of the first `count` upstreams.
  [[nodiscard]] static constexpr UpstreamMask first(std::size_t count) {
    UpstreamMask mask;
    mask.bits_ = (std::uint32_t{1} << count) - 1;
    return mask;
  }

  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  /// More than one.
  [[nodiscard]] constexpr bool has_several() const { return (bits_ & (bits_ - 1)) != 0; }
  [[nodiscard]] constexpr bool contains(std::size_t upstream) const { return (bits_ >> upstream & 1) != 0; }

  constexpr void add(std::size_t upstream) { bits_ |= UpstreamMask(upstream).bits_; }
  constexpr void add(UpstreamMask others) { bits_ |= others.bits_; }
  constexpr void remove(std::size_t upstream) { bits_ &= ~UpstreamMask(upstream).bits_; }
  constexpr void remove(UpstreamMask others) { bits_ &= ~others.bits_; }

  /// The upstreams of `left` that are not in `right`.
  friend constexpr UpstreamMask operator-(UpstreamMask left, UpstreamMask right) {
    left.remove(right);
    return left;
  }
  /// Those that are in both.
  friend constexpr UpstreamMask operator&(UpstreamMask left, UpstreamMask right) { return left - (left - right); }
  friend constexpr bool operator==(UpstreamMask, UpstreamMask) = default;

 private:
  std::uint32_t bits_ = 0;
  static_assert(kMaxUpstreams < 32, "each upstream has a bit, and first() shifts by their number");
};

}  // namespace dotrelay
