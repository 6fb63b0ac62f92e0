// Objects by the time they are due.
#include "base/due_wheel.hpp"

#include <doctest/doctest.h>
#include <map>
#include <random>

namespace dotrelay {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct Item {
  int number = 0;
  DueHook<Item> hook;
};

const TimePoint kStart{std::chrono::hours(1)};

struct Fixture {
  Slab<Item> slab;
  DueWheel<Item, &Item::hook> wheel{slab};

  Handle<Item> add(int number, Duration ahead, TimePoint now = kStart) {
    const Handle<Item> handle = slab.emplace(Item{number, {}});
    wheel.add(handle, now + ahead, now);
    return handle;
  }
  int take(TimePoint now) {
    const Handle<Item> due = wheel.due(now);
    if (!due) return 0;
    wheel.remove(due);
    return slab.get(due).number;
  }
};

TEST_CASE("nothing is due before its time, and everything at it") {
  Fixture fixture;
  fixture.add(1, milliseconds(30));
  fixture.add(2, milliseconds(10));
  CHECK(fixture.wheel.next() == kStart + milliseconds(10));
  CHECK(fixture.take(kStart + milliseconds(9)) == 0);
  CHECK(fixture.take(kStart + milliseconds(10)) == 2);
  CHECK(fixture.wheel.next() == kStart + milliseconds(30));
  CHECK(fixture.take(kStart + milliseconds(500)) == 1);
  CHECK(fixture.wheel.next() == kNever);
}

TEST_CASE("fractions of a millisecond are rounded up") {
  Fixture fixture;
  fixture.add(1, microseconds(1500));
  CHECK(fixture.take(kStart + microseconds(1999)) == 0);
  CHECK(fixture.take(kStart + milliseconds(2)) == 1);
}

TEST_CASE("what leaves before its time is not due, from the front, the middle and the end of its millisecond") {
  Fixture fixture;
  std::vector<Handle<Item>> items;
  for (int i = 1; i <= 5; ++i) items.push_back(fixture.add(i, milliseconds(5)));
  for (const std::size_t gone : {0U, 2U, 4U}) fixture.wheel.remove(items[gone]);
  CHECK_FALSE(fixture.wheel.contains(items[0]));
  CHECK(fixture.wheel.contains(items[1]));
  const int first = fixture.take(kStart + milliseconds(5));
  CHECK(first + fixture.take(kStart + milliseconds(5)) == 2 + 4);
  CHECK(fixture.take(kStart + milliseconds(5)) == 0);
  fixture.wheel.remove(items[0]);  // not in: nothing happens
}

TEST_CASE("the horizon, and a time in the past") {
  Fixture fixture;
  fixture.add(1, decltype(fixture.wheel)::kHorizon);
  fixture.add(2, -milliseconds(5));
  CHECK(fixture.take(kStart) == 2);
  CHECK(fixture.take(kStart + decltype(fixture.wheel)::kHorizon - milliseconds(1)) == 0);
  CHECK(fixture.take(kStart + decltype(fixture.wheel)::kHorizon) == 1);
}

TEST_CASE("as a sorted list would do it, for any order of calls") {
  std::mt19937 chance(7);
  Fixture fixture;
  std::multimap<TimePoint, std::uint32_t> expected;
  std::map<std::uint32_t, Handle<Item>> inside;
  TimePoint now = kStart;
  std::uint32_t number = 0;
  for (int step = 0; step < 50'000; ++step) {
    switch (chance() % 3) {
      case 0: {
        const TimePoint when = now + milliseconds(chance() % 1000);
        ++number;
        inside[number] = fixture.add(static_cast<int>(number), when - now, now);
        expected.emplace(when, number);
        break;
      }
      case 1: {
        if (inside.empty()) break;
        const auto chosen = inside.lower_bound(chance() % (number + 1));
        if (chosen == inside.end()) break;
        fixture.wheel.remove(chosen->second);
        std::erase_if(expected, [&](const auto& entry) { return entry.second == chosen->first; });
        inside.erase(chosen);
        break;
      }
      default: {
        REQUIRE(fixture.wheel.next() == (expected.empty() ? kNever : expected.begin()->first));
        now += milliseconds(chance() % 20);
        while (const int taken = fixture.take(now)) {
          const auto number_taken = static_cast<std::uint32_t>(taken);
          REQUIRE(std::erase_if(expected, [&](const auto& entry) {
                    return entry.second == number_taken && entry.first <= now;
                  }) == 1);
          inside.erase(number_taken);
        }
        REQUIRE((expected.empty() || expected.begin()->first > now));
      }
    }
  }
}

}  // namespace
}  // namespace dotrelay
