// The queries that wait for a connection: each looks once a walk, and walks through many are not made too often.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

TEST_CASE("a walk visits each query once, also those that go on waiting") {
  PartsFixture parts;
  WaitingQueries waiting(parts.queries);
  for (const char* name : {"a.example", "b.example", "c.example"}) waiting.add(parts.begin(name));
  std::vector<QueryHandle> visited;
  waiting.walk(parts.now, [&](QueryHandle query) {
    visited.push_back(query);
    waiting.remove(query);
    if (visited.size() != 2) waiting.add(query);
  });
  CHECK(visited.size() == 3);
  std::size_t left = 0;
  waiting.walk(parts.now, [&](QueryHandle query) {
    CHECK(query != visited[1]);
    waiting.remove(query);
    ++left;
  });
  CHECK(left == 2);
  CHECK(waiting.empty());
}

TEST_CASE("a query that does not wait can be removed") {
  PartsFixture parts;
  WaitingQueries waiting(parts.queries);
  waiting.remove(parts.begin("a.example"));
  CHECK(waiting.empty());
}

TEST_CASE("few queries look at any time; a walk through many is put off, and is due then") {
  PartsFixture parts;
  WaitingQueries waiting(parts.queries);
  const auto walk = [&] { waiting.walk(parts.now, [](QueryHandle) {}); };
  for (std::size_t i = 0; i < WaitingQueries::kFew; ++i) waiting.add(parts.begin("n" + std::to_string(i) + ".example"));
  walk();
  CHECK(waiting.may_walk(parts.now));
  waiting.add(parts.begin("one.more.example"));
  CHECK_FALSE(waiting.may_walk(parts.now));
  const TimePoint due = waiting.walk_due();
  CHECK(due == parts.now + WaitingQueries::kPausePerQuery * static_cast<int>(WaitingQueries::kFew + 1));
  CHECK(waiting.may_walk(due));
  walk();
  CHECK(waiting.walk_due() == kNever);
}

TEST_CASE("what comes to wait meanwhile puts a walk off no further, but once it is due") {
  PartsFixture parts;
  WaitingQueries waiting(parts.queries);
  for (std::size_t i = 0; i <= WaitingQueries::kFew; ++i)
    waiting.add(parts.begin("n" + std::to_string(i) + ".example"));
  waiting.walk(parts.now, [](QueryHandle) {});
  CHECK_FALSE(waiting.may_walk(parts.now));
  const TimePoint due = waiting.walk_due();
  waiting.add(parts.begin("late.example"));
  CHECK_FALSE(waiting.may_walk(parts.now));
  CHECK(waiting.walk_due() == due);
  CHECK_FALSE(waiting.may_walk(due));
  CHECK(waiting.walk_due() == due + WaitingQueries::kPausePerQuery);
}

TEST_CASE("upstreams are urgent only while a query waits for them") {
  PartsFixture parts;
  WaitingQueries waiting(parts.queries);
  waiting.need(UpstreamMask(2));
  CHECK(waiting.urgent().empty());
  const QueryHandle query = parts.begin("a.example");
  waiting.add(query);
  CHECK(waiting.urgent() == UpstreamMask(2));
  waiting.need_none();
  CHECK(waiting.urgent().empty());
}

}  // namespace
}  // namespace dotrelay::test
