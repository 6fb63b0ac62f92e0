// Message IDs of one connection: unique while reserved, drawn at random, one for each slot of the table.
#include "relay/pending_queries.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

QueryHandle query(std::uint32_t number) { return {number, 0}; }

TEST_CASE("an ID finds its query until it is removed") {
  Random random(1);
  PendingQueries pending(random);
  const std::uint16_t id = pending.add(query(5), 77, TimePoint{});
  REQUIRE(pending.find(id));
  CHECK(pending.find(id)->query() == query(5));
  CHECK(pending.find(id)->question_hash == 77);
  CHECK(pending.live() == 1);
  pending.remove(id);
  CHECK_FALSE(pending.find(id));
  CHECK(pending.live() == 0);
}

TEST_CASE("IDs are a bijection of slots for every seed: all 65,536 values find at most one query, their own") {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    PendingQueries pending(random);
    std::set<std::uint16_t> ids;
    for (std::uint32_t i = 0; i < PendingQueries::kMaxLive; ++i) {
      const std::uint16_t id = pending.add(query(i), i, TimePoint{});
      REQUIRE(ids.insert(id).second);
      REQUIRE(pending.find(id)->query() == query(i));
    }
    CHECK(pending.full());
    std::size_t found = 0;
    for (std::uint32_t id = 0; id < 65536; ++id) {
      if (pending.find(static_cast<std::uint16_t>(id))) ++found;
    }
    CHECK(found == PendingQueries::kMaxLive);
  }
}

TEST_CASE("an abandoned ID stays reserved, with its question, and is never drawn") {
  Random random(3);
  PendingQueries pending(random);
  std::set<std::uint16_t> abandoned;
  for (std::uint32_t i = 0; i < PendingQueries::kMaxAbandoned; ++i) {
    CHECK_FALSE(pending.full());
    const std::uint16_t id = pending.add(query(i), i, TimePoint{});
    pending.abandon(id);
    CHECK(abandoned.insert(id).second);
    CHECK_FALSE(pending.find(id)->query());
    CHECK(pending.find(id)->question_hash == i);
  }
  CHECK(pending.full());
  CHECK(pending.abandoned() == 256);
  CHECK(pending.live() == 0);
  pending.remove(*abandoned.begin());
  CHECK_FALSE(pending.full());
  CHECK(pending.abandoned() == 255);
}

TEST_CASE("random use against a plain map") {
  Random random(4);
  PendingQueries pending(random);
  std::vector<std::pair<std::uint16_t, std::uint32_t>> live;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    if (!pending.full() && (live.empty() || random.below(100) < 52)) {
      live.emplace_back(pending.add(query(i), i, TimePoint{}), i);
    } else {
      const std::size_t at = random.below(static_cast<std::uint32_t>(live.size()));
      REQUIRE(pending.find(live[at].first));
      REQUIRE(pending.find(live[at].first)->query() == query(live[at].second));
      pending.remove(live[at].first);
      live[at] = live.back();
      live.pop_back();
    }
    REQUIRE(pending.live() == live.size());
  }
}

TEST_CASE("an ID seldom comes twice in a row") {
  Random random(5);
  PendingQueries pending(random);
  int repetitions = 0;
  std::uint16_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint16_t id = pending.add(query(1), 1, TimePoint{});
    repetitions += id == last ? 1 : 0;
    last = id;
    pending.remove(id);
  }
  CHECK(repetitions < 20);
}

TEST_CASE("take_all gives the live queries and empties the table") {
  Random random(6);
  PendingQueries pending(random);
  pending.add(query(1), 1, TimePoint{});
  pending.abandon(pending.add(query(2), 2, TimePoint{}));
  const std::uint16_t id = pending.add(query(3), 3, TimePoint{});
  const std::vector<QueryHandle> all = pending.take_all();
  CHECK(all.size() == 2);
  CHECK(std::ranges::count(all, query(2)) == 0);
  CHECK(pending.live() == 0);
  CHECK(pending.abandoned() == 0);
  CHECK_FALSE(pending.find(id));
}

}  // namespace
}  // namespace dotrelay
