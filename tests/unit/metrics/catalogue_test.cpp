// The catalogue: each row's words, and which cells belong to which row.
#include "metrics/catalogue.hpp"

#include <algorithm>
#include <cctype>
#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

TEST_CASE("every row has a name of its own in snake_case and a help text") {
  std::set<std::string_view> names;
  for (const MetricRow& row : kMetricRows) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    for (const char c : row.name) CHECK((c == '_' || std::islower(static_cast<unsigned char>(c)) != 0));
    CHECK(row.help.size() > 10);
  }
}

TEST_CASE("the cells of the rows follow each other without a gap, for each label by itself") {
  std::size_t without_label = 0;
  std::size_t of_upstream = 0;
  for (const MetricRow& row : kMetricRows) {
    CAPTURE(row.name);
    std::size_t& next = row.label == MetricLabel::upstream ? of_upstream : without_label;
    CHECK(row.cell == next);
    next += cells_of(row.kind);
  }
  CHECK(without_label == kCounterCells);
  CHECK(of_upstream == kUpstreamCells);
}

TEST_CASE("rows and enumerators have the same cells") {
  const auto row = [](std::string_view name) {
    const auto* const found = std::ranges::find(kMetricRows, name, &MetricRow::name);
    REQUIRE(found != kMetricRows.end());
    return *found;
  };
  CHECK(kMetricRows.front().name == "queries_udp");
  CHECK(row("answers").cell == static_cast<std::size_t>(Counter::answers));
  CHECK(row("answers").label == MetricLabel::none);
  CHECK(row("log_lines_lost").cell == kCounterCells - 1);
  CHECK(row("upstream_resumptions").cell == static_cast<std::size_t>(UpstreamCounter::upstream_resumptions));
  CHECK(row("upstream_resumptions").label == MetricLabel::upstream);
}

#define TEST_METRICS(RELAY, UPSTREAM)               \
  RELAY(clients, gauge, count, "a")                 \
  UPSTREAM(connections, gauge, count, "b")          \
  RELAY(answer_time, histogram, microseconds, "c")  \
  RELAY(answers, counter, count, "d")               \
  UPSTREAM(dial_time, histogram, microseconds, "e") \
  UPSTREAM(memory, gauge, octets, "f")

TEST_CASE("a histogram has as many cells as buckets and one for the sum; others have one") {
  enum class Cell : std::uint16_t { TEST_METRICS(DOTRELAY_CELLS, DOTRELAY_NO_CELLS) count_ };
  enum class UpstreamCell : std::uint16_t { TEST_METRICS(DOTRELAY_NO_CELLS, DOTRELAY_CELLS) count_ };
  CHECK(static_cast<std::size_t>(Cell::clients) == 0);
  CHECK(static_cast<std::size_t>(Cell::answer_time) == 1);
  CHECK(static_cast<std::size_t>(Cell::answer_time_last) == 1 + kHistogramBuckets);
  CHECK(static_cast<std::size_t>(Cell::answers) == 2 + kHistogramBuckets);
  CHECK(static_cast<std::size_t>(Cell::count_) == 3 + kHistogramBuckets);
  CHECK(static_cast<std::size_t>(UpstreamCell::dial_time) == 1);
  CHECK(static_cast<std::size_t>(UpstreamCell::memory) == 2 + kHistogramBuckets);
  CHECK(static_cast<std::size_t>(UpstreamCell::count_) == 3 + kHistogramBuckets);
}

}  // namespace
}  // namespace dotrelay
