// How many frames that match no query make a connection useless.
#include "relay/stray_frames.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST_CASE("eight within ten seconds are too many, not seven") {
  StrayFrames frames;
  for (int i = 0; i < 7; ++i) CHECK_FALSE(frames.add(kStart + seconds(1) * i));
  CHECK(frames.add(kStart + milliseconds(9999)));
}

TEST_CASE("one an hour, or seven each ten seconds, are not") {
  StrayFrames frames;
  TimePoint now = kStart;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(frames.add(now += std::chrono::hours(1)));
  now += std::chrono::hours(1);
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 7; ++j) CHECK_FALSE(frames.add(now + milliseconds(j)));
    now += seconds(10) + milliseconds(7);
  }
}

}  // namespace
}  // namespace dotrelay
