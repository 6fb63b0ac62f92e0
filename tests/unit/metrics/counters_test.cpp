// Counting: each cell apart from all others, beyond 32 bits, and in memory that begins as zero octets.
#include "metrics/counters.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("counters count apart from each other") {
  Counters counters;
  counters.add(Counter::answers);
  counters.add(Counter::answers, 41);
  counters.add(Counter::udp_unsent);
  CHECK(counters.get(Counter::answers) == 42);
  CHECK(counters.get(Counter::udp_unsent) == 1);
  CHECK(counters.get(Counter::failed) == 0);
}

TEST_CASE("each upstream has cells of its own") {
  Counters counters;
  for (std::size_t upstream = 0; upstream < Counters::kMaxUpstreams; ++upstream) {
    counters.add(UpstreamCounter::upstream_handshakes, upstream, upstream + 1);
    counters.add(UpstreamCounter::upstream_resumptions, upstream, 100 * (upstream + 1));
  }
  for (std::size_t upstream = 0; upstream < Counters::kMaxUpstreams; ++upstream) {
    CHECK(counters.get(UpstreamCounter::upstream_handshakes, upstream) == upstream + 1);
    CHECK(counters.get(UpstreamCounter::upstream_resumptions, upstream) == 100 * (upstream + 1));
    CHECK(counters.get(UpstreamCounter::upstream_tickets_refused, upstream) == 0);
  }
  for (std::size_t i = 0; i < kCounterCells; ++i) CHECK(counters.get(static_cast<Counter>(i)) == 0);
}

TEST_CASE("counters go beyond 32 bits") {
  Counters counters;
  counters.add(Counter::answers, UINT32_MAX);
  CHECK(counters.get(Counter::answers) == UINT32_MAX);
  counters.add(Counter::answers);
  CHECK(counters.get(Counter::answers) == std::uint64_t{1} << 32);
  counters.add(Counter::answers, std::uint64_t{5} << 33);
  counters.add(Counter::answers, UINT32_MAX);
  CHECK(counters.get(Counter::answers) == (std::uint64_t{11} << 32) + UINT32_MAX);
}

TEST_CASE("a gauge's cell takes any value after any other") {
  MetricCell cell;
  for (const std::uint64_t value : {std::uint64_t{7}, UINT64_MAX, std::uint64_t{1} << 32, std::uint64_t{0}}) {
    cell.set(value);
    CHECK(cell.get() == value);
  }
}

TEST_CASE("a histogram has each value in the first bucket that is wide enough, and the sum of all") {
  std::array<MetricCell, cells_of(MetricKind::histogram)> histogram;
  for (const std::uint64_t value : {0, 1, 2, 3, 4}) observe(histogram, value);
  observe(histogram, UINT32_MAX);
  observe(histogram, (std::uint64_t{1} << (kHistogramBuckets - 2)) - 1);
  observe(histogram, std::uint64_t{1} << (kHistogramBuckets - 2));
  const std::uint64_t expected[] = {1, 1, 2, 1};
  for (std::size_t i = 0; i < std::size(expected); ++i) CHECK(histogram[i].get() == expected[i]);
  CHECK(histogram[kHistogramBuckets - 2].get() == 1);
  CHECK(histogram[kHistogramBuckets - 1].get() == 2);
  CHECK(histogram.back().get() == 10 + std::uint64_t{UINT32_MAX} + (std::uint64_t{1} << (kHistogramBuckets - 1)) - 1);
}

TEST_CASE("fresh shared memory is a valid set of counters") {
  alignas(Counters) unsigned char memory[sizeof(Counters)] = {};
  auto* const counters = reinterpret_cast<Counters*>(memory);
  for (std::size_t i = 0; i < kCounterCells; ++i) CHECK(counters->get(static_cast<Counter>(i)) == 0);
  for (std::size_t i = 0; i < kUpstreamCells; ++i) CHECK(counters->get(static_cast<UpstreamCounter>(i), 0) == 0);
}

}  // namespace
}  // namespace dotrelay
