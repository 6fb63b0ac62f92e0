// How many connections are accepted in a turn, from what came in the turns before.
#include "net/accept_pace.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

/// A turn in which `waiting` connections wait. Returns how many tries it took.
int turn(AcceptPace& pace, int waiting) {
  int tries = 0;
  while (pace.may_try()) {
    ++tries;
    if (waiting-- == 0) {
      pace.in_vain();
      break;
    }
    pace.came();
  }
  return tries;
}

TEST_CASE("while connections come each turn tries twice as many, up to a limit") {
  AcceptPace pace;
  for (const int expected : {1, 2, 4, 8, 16, 32, 64, 64, 64}) CHECK(turn(pace, 1000) == expected);
}

TEST_CASE("after a try in vain no more are tried than came, but for one") {
  AcceptPace pace;
  for (int i = 0; i < 4; ++i) turn(pace, 1000);
  CHECK(turn(pace, 5) == 6);
  for (int i = 0; i < AcceptPace::kTurnsLearned; ++i) CHECK(turn(pace, 5) == 5);
  CHECK(turn(pace, 5) == 5);  // ends with the resolve to try more
  CHECK(turn(pace, 5) == 6);
  CHECK(turn(pace, 0) == 1);
  CHECK(turn(pace, 1000) == 1);
}

}  // namespace
}  // namespace dotrelay
