// Totals: workers added up, and what stays of them when they have ended.
#include "metrics/totals.hpp"

#include <algorithm>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

const MetricRow& row(std::string_view name) {
  const auto* const found = std::ranges::find(kMetricRows, name, &MetricRow::name);
  REQUIRE(found != kMetricRows.end());
  return *found;
}

TEST_CASE("workers are added up, and the cells of an upstream over all upstreams") {
  Counters first;
  Counters second;
  first.add(Counter::answers, 1);
  second.add(Counter::answers, 2);
  first.add(UpstreamCounter::upstream_handshakes, 0, 10);
  second.add(UpstreamCounter::upstream_handshakes, Counters::kMaxUpstreams - 1, 20);
  Totals totals;
  totals += first;
  totals += second;
  CHECK(totals.get(Counter::answers) == 3);
  CHECK(totals.get(row("answers")) == 3);
  CHECK(totals.get(UpstreamCounter::upstream_handshakes) == 30);
  CHECK(totals.get(row("upstream_handshakes")) == 30);
  CHECK(totals.get(UpstreamCounter::upstream_resumptions) == 0);
  Totals doubled = totals;
  doubled += totals;
  CHECK(doubled.get(Counter::answers) == 6);
  CHECK(totals.get(Counter::answers) == 3);
}

TEST_CASE("each row has a place of its own") {
  Totals totals;
  for (std::size_t i = 0; i < kMetricRows.size(); ++i) totals.add(kMetricRows[i], i + 1);
  for (std::size_t i = 0; i < kMetricRows.size(); ++i) CHECK(totals.get(kMetricRows[i]) == i + 1);
  totals.add(Counter::log_lines_lost, 5);
  CHECK(totals.get(row("log_lines_lost")) == kMetricRows.size() + 5);
}

TEST_CASE("of workers that have ended no gauge stays") {
  auto rows = kMetricRows;
  for (MetricRow& each : rows) {
    if (each.name == "shared" || each.name == "upstream_resumptions") each.kind = MetricKind::gauge;
  }
  Totals totals;
  for (const MetricRow& each : rows) totals.add(each, 7);
  const Totals lasting = totals.lasting(rows);
  for (const MetricRow& each : rows) {
    CAPTURE(each.name);
    CHECK(lasting.get(each) == (each.kind == MetricKind::gauge ? 0 : 7));
  }
  CHECK(totals.lasting() == totals);
}

}  // namespace
}  // namespace dotrelay
