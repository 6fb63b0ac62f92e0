// The list through slab objects: order, removal anywhere, one object in several lists.
#include "base/linked_list.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

struct Item {
  int number = 0;
  ListHook<Item> by_age{};
  ListHook<Item> by_use{};
};

using AgeList = LinkedList<Item, &Item::by_age>;
using UseList = LinkedList<Item, &Item::by_use>;

template <class List>
std::vector<int> numbers(const List& list, Slab<Item>& slab) {
  std::vector<int> result;
  for (Handle<Item> at = list.front(); at; at = list.next(at)) result.push_back(slab.get(at).number);
  return result;
}

TEST_CASE("members come out in the order they entered") {
  Slab<Item> slab;
  AgeList list(slab);
  CHECK(list.empty());
  CHECK_FALSE(list.front());
  std::vector<Handle<Item>> items;
  for (int i = 0; i < 4; ++i) {
    items.push_back(slab.emplace(Item{i}));
    list.push_back(items.back());
  }
  CHECK(numbers(list, slab) == std::vector{0, 1, 2, 3});
  CHECK(list.size() == 4);

  SUBCASE("the first leaves") {
    list.remove(items[0]);
    CHECK(list.front() == items[1]);
    CHECK(numbers(list, slab) == std::vector{1, 2, 3});
  }
  SUBCASE("the last leaves, and another enters behind the new last") {
    list.remove(items[3]);
    list.push_back(items[3]);
    list.remove(items[2]);
    CHECK(numbers(list, slab) == std::vector{0, 1, 3});
  }
  SUBCASE("one from the middle goes to the end") {
    list.remove(items[1]);
    list.push_back(items[1]);
    CHECK(numbers(list, slab) == std::vector{0, 2, 3, 1});
  }
  SUBCASE("all leave, and the list can be used again") {
    for (const auto item : items) list.remove(item);
    CHECK(list.empty());
    CHECK(list.size() == 0);
    CHECK_FALSE(list.front());
    list.push_back(items[2]);
    CHECK(numbers(list, slab) == std::vector{2});
  }
}

TEST_CASE("removing what is not linked does nothing") {
  Slab<Item> slab;
  AgeList list(slab);
  const auto inside = slab.emplace(Item{1});
  const auto outside = slab.emplace(Item{2});
  list.push_back(inside);
  list.remove(outside);
  CHECK(numbers(list, slab) == std::vector{1});
  list.remove(inside);
  list.remove(inside);
  CHECK(list.empty());
}

TEST_CASE("an object can be in one list through each of its hooks") {
  Slab<Item> slab;
  AgeList ages(slab);
  UseList uses(slab);
  const auto one = slab.emplace(Item{1});
  const auto two = slab.emplace(Item{2});
  ages.push_back(one);
  ages.push_back(two);
  uses.push_back(two);
  uses.push_back(one);
  uses.remove(two);
  CHECK(numbers(ages, slab) == std::vector{1, 2});
  CHECK(numbers(uses, slab) == std::vector{1});
}

}  // namespace
}  // namespace dotrelay
