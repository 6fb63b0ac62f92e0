// Ranges: their texts, and values in the notation of each unit.
#include "config/range.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

constexpr Range kSize{std::int64_t{512} << 10, std::int64_t{64} << 30, Unit::octets};
constexpr Range kShare{0, 50, Unit::percent};

TEST_CASE("a range in words, each end in the largest unit that divides it") {
  CHECK(to_text(Range{1, 65'535}) == "1 to 65535");
  CHECK(to_text(Range::durations(50ms, 60s)) == "50ms to 60s");
  CHECK(to_text(Range::durations(1500ms, 12h)) == "1500ms to 12h");
  CHECK(to_text(Range::durations(0ms, 168h)) == "0s to 7d");
  CHECK(to_text(kSize) == "512KiB to 64GiB");
  CHECK(to_text(kShare) == "\"0%\" to \"50%\"");
}

TEST_CASE("both ends belong to a range") {
  constexpr Range kRange{2, 4};
  for (const std::int64_t inside : {2, 3, 4}) CHECK(kRange.contains(inside));
  for (const std::int64_t outside : {1, 5, -2}) CHECK_FALSE(kRange.contains(outside));
}

TEST_CASE("values in the notation of their unit") {
  const Range duration = Range::durations(1ms, 2h);
  CHECK(*parse_in_range("250ms", duration) == 250);
  CHECK(*parse_in_range("4s", duration) == 4000);
  CHECK(*parse_in_range("1m", duration) == 60'000);
  CHECK(*parse_in_range("2h", duration) == 7'200'000);
  CHECK(*parse_in_range("2d", Range::durations(0ms, 48h)) == 172'800'000);
  CHECK(*parse_in_range("0", Range::durations(0ms, 48h)) == 0);
  CHECK(*parse_in_range("0s", Range::durations(0ms, 48h)) == 0);
  CHECK(*parse_in_range("8MiB", kSize) == 8 << 20);
  CHECK(*parse_in_range("64GiB", kSize) == std::int64_t{64} << 30);
  CHECK(*parse_in_range("50%", kShare) == 50);
  CHECK(*parse_in_range("0", kShare) == 0);
}

TEST_CASE("what is no such value, or is outside the range") {
  CHECK(parse_in_range("4", Range::durations(1ms, 1s)).error().message ==
        "\"4\" is not a duration (\"250ms\", \"4s\", \"1m\", \"1h\", \"1d\")");
  CHECK(parse_in_range("8MB", kSize).error().message == "\"8MB\" is not a size (\"512KiB\", \"8MiB\", \"1GiB\")");
  CHECK(parse_in_range("50", kShare).error().message == "\"50\" is not a percentage (\"10%\")");
  CHECK(parse_in_range("2s", Range::durations(1ms, 1s)).error().message == "\"2s\" is out of range");
  CHECK(parse_in_range("511KiB", kSize).error().message == "\"511KiB\" is out of range");
  CHECK(parse_in_range("51%", kShare).error().message == "\"51%\" is out of range");
  CHECK(parse_in_range("4294967295GiB", kSize).error().message == "\"4294967295GiB\" is out of range");
}

}  // namespace
}  // namespace dotrelay
