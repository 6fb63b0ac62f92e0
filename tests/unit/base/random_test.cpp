// Chance that a test can fix, and bounds that hold.
#include "base/random.hpp"

#include <array>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("the same seed gives the same numbers, another seed others") {
  Random first(1);
  Random second(1);
  Random third(2);
  bool differs = false;
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t number = first.u64();
    CHECK(number == second.u64());
    differs = differs || number != third.u64();
  }
  CHECK(differs);
}

TEST_CASE("two generators seeded by the system differ") { CHECK(Random().u64() != Random().u64()); }

TEST_CASE("below stays below its bound and reaches every value") {
  Random random(3);
  std::array<int, 7> seen{};
  for (int i = 0; i < 7000; ++i) {
    const std::uint32_t number = random.below(7);
    REQUIRE(number < 7);
    ++seen[number];
  }
  for (const int count : seen) CHECK(count > 800);  // 1000 are expected, the deviation is about 30
  for (int i = 0; i < 100; ++i) CHECK(random.below(1) == 0);
}

TEST_CASE("below with the largest bound uses the whole range") {
  Random random(4);
  bool high = false;
  bool low = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t number = random.below(UINT32_MAX);
    high = high || number > UINT32_MAX / 2;
    low = low || number < UINT32_MAX / 2;
  }
  CHECK(high);
  CHECK(low);
}

}  // namespace
}  // namespace dotrelay
