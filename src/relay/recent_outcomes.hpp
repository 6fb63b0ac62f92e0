// Whether the latest few outcomes of something were mostly bad: enough of them to mean it, few enough to notice soon.
// Each domain has one vote among them, so that a domain that is broken, or slow, or refused by policy does not count
// for a broken upstream, however often it is asked for.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace dotrelay {

class RecentOutcomes {
 public:
  static constexpr std::size_t kRemembered = 8;
  static constexpr int kMost = 5;

  void add_good() {
    bad_ = static_cast<std::uint8_t>(bad_ & ~(1U << next_));
    next_ = (next_ + 1) % kRemembered;
  }

  /// `domain`: InFlight::domain_hash() of the question. Nothing changes while a bad outcome of it is remembered.
  [[gnu::cold]] void add_bad(std::uint32_t domain) {
    for (std::size_t i = 0; i < kRemembered; ++i) {
      if ((bad_ >> i & 1) != 0 && domains_[i] == domain) return;
    }
    domains_[next_] = domain;
    bad_ = static_cast<std::uint8_t>(bad_ | 1U << next_);
    next_ = (next_ + 1) % kRemembered;
  }

  void clear() { bad_ = 0; }

  [[nodiscard]] bool mostly_bad() const { return std::popcount(bad_) >= kMost; }

 private:
  std::uint8_t bad_ = 0;  ///< a bit for each outcome
  std::uint32_t next_ = 0;
  std::array<std::uint32_t, kRemembered> domains_{};  ///< of the bad ones
};

}  // namespace dotrelay
