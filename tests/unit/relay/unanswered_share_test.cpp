// The bound on unanswered queries that one client may leave behind.
#include "relay/unanswered_share.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST_CASE("a client's share is used up after kShare IDs, another's is not") {
  UnansweredShare share;
  CHECK_FALSE(share.used_up(7, kStart));
  share.add(7, UnansweredShare::kShare - 1, kStart);
  CHECK_FALSE(share.used_up(7, kStart));
  share.add(7, 1, kStart);
  CHECK(share.used_up(7, kStart));
  CHECK_FALSE(share.used_up(8, kStart));
}

TEST_CASE("what a client leaves behind at a modest rate is forgotten in time") {
  UnansweredShare share;
  for (int i = 0; i < 600; ++i) {
    const TimePoint now = kStart + milliseconds(100) * i;
    share.add(7, 3, now);
    CHECK_FALSE(share.used_up(7, now));
  }
}

TEST_CASE("a client that stops is free again after three seconds, however much it left behind") {
  UnansweredShare share;
  for (int i = 0; i < 1000; ++i) share.add(7, 64, kStart);
  CHECK(share.used_up(7, kStart + seconds(1)));
  CHECK_FALSE(share.used_up(7, kStart + seconds(3)));
  share.add(7, UnansweredShare::kShare, kStart + seconds(300));
  CHECK(share.used_up(7, kStart + seconds(300)));
}

}  // namespace
}  // namespace dotrelay
