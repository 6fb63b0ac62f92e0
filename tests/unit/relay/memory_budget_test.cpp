// Memory of the whole relay, drawn by workers in chunks: who gets what when it runs out.
#include "relay/memory_budget.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

constexpr std::size_t kChunk = MemoryBudget::kChunkBytes;
constexpr auto kGreedy = [] { return true; };
constexpr auto kModest = [] { return false; };

/// Takes chunk after chunk; gives the number that it got.
std::size_t take_all(MemoryBudget& budget) {
  std::size_t count = 0;
  while (budget.take(kChunk)) ++count;
  return count;
}

TEST_CASE("one worker may take everything, and no more") {
  std::vector<SharedWord> held(1);
  MemoryBudget budget(held, 0, 32);
  CHECK(take_all(budget) == 32);
  CHECK(held[0] == 32);
  CHECK_FALSE(budget.take(1));
  budget.give_back(kChunk);
  CHECK(budget.take(kChunk));
}

TEST_CASE("queries leave a quarter of the worker's own part to the answers") {
  std::vector<SharedWord> held(1);
  MemoryBudget budget(held, 0, 32);
  std::size_t count = 0;
  while (budget.take_for_query(kChunk, kModest)) ++count;
  CHECK(count == 28);
  CHECK(take_all(budget) == 4);
}

TEST_CASE("queries of a greedy client leave another quarter to those of others") {
  std::vector<SharedWord> held(1);
  MemoryBudget budget(held, 0, 32);
  std::size_t count = 0;
  while (budget.take_for_query(kChunk, kGreedy)) ++count;
  CHECK(count == 24);
  count = 0;
  while (budget.take_for_query(kChunk, kModest)) ++count;
  CHECK(count == 4);
  CHECK(take_all(budget) == 4);
}

TEST_CASE("a worker that takes all it can leaves the others their own parts") {
  std::vector<SharedWord> held(4);
  MemoryBudget greedy(held, 0, 64);
  MemoryBudget modest(held, 1, 64);
  CHECK(take_all(greedy) == 8 + 32);
  CHECK(take_all(modest) == 8);
}

TEST_CASE("what one gives back another can take") {
  std::vector<SharedWord> held(2);
  MemoryBudget one(held, 0, 64);
  MemoryBudget other(held, 1, 64);
  const std::size_t taken = take_all(one);
  CHECK(taken == 48);
  for (std::size_t i = 0; i < taken; ++i) one.give_back(kChunk);
  CHECK(one.used() == 0);
  CHECK(held[0] < 16);
  CHECK(take_all(other) == 48);
}

TEST_CASE("what a dead worker held is free once its word is zero") {
  std::vector<SharedWord> held(2);
  MemoryBudget budget(held, 0, 64);
  held[1] = 48;
  CHECK(take_all(budget) == 16);
  held[1] = 0;
  CHECK(take_all(budget) == 32);
}

TEST_CASE("a worker that writes nonsense into its word takes the common half and nothing else") {
  std::vector<SharedWord> held(2);
  held[1] = UINT32_MAX;
  MemoryBudget budget(held, 0, 64);
  CHECK(take_all(budget) == 16);
}

TEST_CASE("memory runs out: the holder lets go of what others owe, until it has no more") {
  struct Holder final : MemoryHolder {
    explicit Holder(MemoryBudget& budget) : budget(budget) {}
    bool shed(std::size_t octets) noexcept override {
      if (left == 0 || octets > kChunk) return false;
      --left;
      budget.give_back(kChunk);
      return true;
    }
    MemoryBudget& budget;
    int left = 3;
  };
  std::vector<SharedWord> held(1);
  MemoryBudget budget(held, 0, 16);
  take_all(budget);
  Holder holder(budget);
  budget.set_holder(&holder);
  CHECK(take_all(budget) == 3);
  CHECK(budget.used() == 16 * kChunk);
}

TEST_CASE("the end of a flood is told once; small change is none") {
  std::vector<SharedWord> held(1);
  MemoryBudget budget(held, 0, 1024);
  REQUIRE(budget.take(20 * kChunk));
  budget.give_back(20 * kChunk);
  CHECK_FALSE(budget.flood_is_over());
  REQUIRE(budget.take(100 * kChunk));
  CHECK_FALSE(budget.flood_is_over());
  budget.give_back(50 * kChunk);
  CHECK_FALSE(budget.flood_is_over());
  budget.give_back(40 * kChunk);
  CHECK(budget.flood_is_over());
  CHECK_FALSE(budget.flood_is_over());
}

TEST_CASE("the end of a worker gives everything back") {
  std::vector<SharedWord> held(2);
  { MemoryBudget(held, 1, 64).take(20 * kChunk); }
  CHECK(held[1] == 0);
}

}  // namespace
}  // namespace dotrelay
