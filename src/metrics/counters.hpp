// One worker's cells of the catalogue, in its own slot of the shared memory, where the supervisor reads. Only the
// worker writes, so no cell needs a locked instruction.
#pragma once

#include "base/shared_word.hpp"
#include "metrics/catalogue.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <span>

namespace dotrelay {

/// A number of 64 bits, which are more than some CPUs load or store at once: two words. Between the two a reader may
/// miss a carry. All zero octets is a valid beginning, as fresh shared memory is.
class MetricCell {
 public:
  [[gnu::always_inline]] void add(std::uint64_t amount) {
    const std::uint64_t sum = low_.load(std::memory_order_relaxed) + amount;
    low_.store(static_cast<std::uint32_t>(sum), std::memory_order_relaxed);
    if (const auto carry = static_cast<std::uint32_t>(sum >> 32); carry != 0) {
      high_.store(high_.load(std::memory_order_relaxed) + carry, std::memory_order_relaxed);
    }
  }

  void set(std::uint64_t value) {
    low_.store(static_cast<std::uint32_t>(value), std::memory_order_relaxed);
    high_.store(static_cast<std::uint32_t>(value >> 32), std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t get() const {
    return std::uint64_t{high_.load(std::memory_order_relaxed)} << 32 | low_.load(std::memory_order_relaxed);
  }

 private:
  SharedWord low_;
  SharedWord high_;
};

/// Counts a value in the cells of a histogram. Bucket n has the values below 2^n that are in none before; the last one
/// has the rest, and behind it is the sum.
inline void observe(std::span<MetricCell, cells_of(MetricKind::histogram)> histogram, std::uint64_t value) {
  histogram[std::min<std::size_t>(std::bit_width(value), kHistogramBuckets - 1)].add(1);
  histogram.back().add(value);
}

/// All zero octets is a valid beginning.
class Counters {
 public:
  /// As many as a configuration may have.
  static constexpr std::size_t kMaxUpstreams = 16;

  [[gnu::always_inline]] void add(Counter counter, std::uint64_t amount = 1) {
    cells_[static_cast<std::size_t>(counter)].add(amount);
  }

  [[gnu::always_inline]] void add(UpstreamCounter counter, std::size_t upstream, std::uint64_t amount = 1) {
    assert(upstream < kMaxUpstreams);
    upstream_cells_[upstream][static_cast<std::size_t>(counter)].add(amount);
  }

  [[nodiscard]] std::uint64_t get(Counter counter) const { return cells_[static_cast<std::size_t>(counter)].get(); }

  [[nodiscard]] std::uint64_t get(UpstreamCounter counter, std::size_t upstream) const {
    assert(upstream < kMaxUpstreams);
    return upstream_cells_[upstream][static_cast<std::size_t>(counter)].get();
  }

 private:
  std::array<MetricCell, kCounterCells> cells_{};
  std::array<std::array<MetricCell, kUpstreamCells>, kMaxUpstreams> upstream_cells_{};
};

}  // namespace dotrelay
