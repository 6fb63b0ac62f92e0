// What workers counted together: the values of a moment, which later counting does not change.
#pragma once

#include "metrics/counters.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <span>

namespace dotrelay {

/// Cells of upstreams are added up over all of them: their numbers mean others in the next configuration.
class Totals {
 public:
  [[nodiscard]] std::uint64_t get(Counter counter) const { return values_[static_cast<std::size_t>(counter)]; }
  [[nodiscard]] std::uint64_t get(UpstreamCounter counter) const {
    return values_[kCounterCells + static_cast<std::size_t>(counter)];
  }
  /// Not of a histogram, which is no single number.
  [[nodiscard]] std::uint64_t get(const MetricRow& row) const { return values_[place_of(row)]; }

  void add(Counter counter, std::uint64_t amount) { values_[static_cast<std::size_t>(counter)] += amount; }
  /// Not to a histogram.
  void add(const MetricRow& row, std::uint64_t amount) { values_[place_of(row)] += amount; }

  Totals& operator+=(const Totals& other) {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] += other.values_[i];
    return *this;
  }

  Totals& operator+=(const Counters& worker) {
    for (std::size_t i = 0; i < kCounterCells; ++i) values_[i] += worker.get(static_cast<Counter>(i));
    for (std::size_t upstream = 0; upstream < Counters::kMaxUpstreams; ++upstream) {
      for (std::size_t i = 0; i < kUpstreamCells; ++i) {
        values_[kCounterCells + i] += worker.get(static_cast<UpstreamCounter>(i), upstream);
      }
    }
    return *this;
  }

  /// What is left when the workers have ended: all but the gauges.
  [[nodiscard]] Totals lasting(std::span<const MetricRow> rows = kMetricRows) const {
    Totals rest = *this;
    for (const MetricRow& row : rows) {
      if (row.kind == MetricKind::gauge) rest.values_[place_of(row)] = 0;
    }
    return rest;
  }

  friend bool operator==(const Totals&, const Totals&) = default;

 private:
  static std::size_t place_of(const MetricRow& row) {
    assert(row.kind != MetricKind::histogram);
    return row.cell + (row.label == MetricLabel::upstream ? kCounterCells : 0);
  }

  static_assert(std::ranges::none_of(kMetricRows,
                                     [](const MetricRow& row) { return row.kind == MetricKind::histogram; }),
                "a histogram has many cells: log and upgrade state must learn to write them first");

  std::array<std::uint64_t, kCounterCells + kUpstreamCells> values_{};
};

}  // namespace dotrelay
