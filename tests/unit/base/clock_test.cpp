// Durations as log lines show them.
#include "base/clock.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

TEST_CASE("below a second in milliseconds, from there in seconds") {
  CHECK(to_text(0ms) == "0 ms");
  CHECK(to_text(999us) == "0 ms");
  CHECK(to_text(250ms) == "250 ms");
  CHECK(to_text(999ms) == "999 ms");
  CHECK(to_text(1s) == "1 s");
  CHECK(to_text(1500ms) == "1.5 s");
  CHECK(to_text(4s) == "4 s");
  CHECK(to_text(30s) == "30 s");
  CHECK(to_text(60s) == "60 s");
}

TEST_CASE("long durations stay plain numbers") {
  CHECK(to_text(999'600ms) == "1000 s");
  CHECK(to_text(1h) == "3600 s");
  CHECK(to_text(24h) == "86400 s");
}

}  // namespace
}  // namespace dotrelay
