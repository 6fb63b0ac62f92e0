// When a client has asked enough for now.
#include "listener/unread_budget.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

/// How many queries may be taken of a client that has `unread` octets waiting.
unsigned taken(UnreadBudget budget, std::size_t unread) {
  unsigned count = 0;
  for (; budget.allows(unread); ++count) budget.asked();
  return count;
}

TEST_CASE("so many queries in flight and no more, until one is answered") {
  UnreadBudget budget;
  CHECK_FALSE(budget.owes());
  for (std::uint32_t i = 0; i < UnreadBudget::kMaxInFlight; ++i) {
    REQUIRE(budget.allows(0));
    budget.asked();
  }
  CHECK(budget.owes());
  CHECK_FALSE(budget.allows(0));
  budget.answered();
  CHECK(budget.allows(0));
}

TEST_CASE("answers that are not taken, and those to be expected, count in octets") {
  const UnreadBudget budget;
  CHECK(budget.allows(UnreadBudget::kMaxUnread - 1));
  CHECK_FALSE(budget.allows(UnreadBudget::kMaxUnread));
  CHECK(taken(budget, UnreadBudget::kMaxUnread - 3 * UnreadBudget::kLeastAnswer) == 3);
}

TEST_CASE("long answers are expected to be followed by long ones, for a while") {
  UnreadBudget budget;
  budget.learn(60'000);
  CHECK(taken(budget, 0) == UnreadBudget::kMaxUnread / 60'000 + 1);
  budget.asked();
  CHECK(budget.expected_bytes() == 60'000);
  budget.learn(100);
  CHECK(budget.expected_bytes() == 60'000 - 60'000 / 8);
  for (int i = 0; i < 50; ++i) budget.learn(100);
  CHECK(budget.expected_bytes() == UnreadBudget::kLeastAnswer);
  CHECK(taken(UnreadBudget(), 0) == UnreadBudget::kMaxInFlight);
}

}  // namespace
}  // namespace dotrelay
