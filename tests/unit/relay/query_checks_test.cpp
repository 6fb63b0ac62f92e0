// When a query that was sent is looked at again, and what hedging costs of its budget.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

using Verdict = QueryChecks::Verdict;

struct Checks : PartsFixture {
  explicit Checks(double hedge = 0.5) : PartsFixture({1, 1}, hedge) {}

  /// A query that has been sent to the first upstream.
  QueryHandle sent(const std::string& name) {
    const QueryHandle handle = begin(name);
    REQUIRE(router.route(handle, now));
    return handle;
  }
  /// The time of the next look, at which it is taken out.
  Verdict look(QueryHandle handle) {
    now = checks.next();
    REQUIRE(checks.due(now) == handle);
    checks.remove(handle);
    return checks.judge(handle, now);
  }

  QueryChecks& checks = router.checks();
};

TEST_CASE("late at the upstream's usual time, over when patience is") {
  Checks parts;
  parts.connect();
  const QueryHandle query = parts.sent("www.example");
  const TimePoint began = parts.now;
  CHECK(parts.look(query) == Verdict::late);
  CHECK(parts.now < began + parts.environment.patience());
  CHECK(parts.query(query).attempts.begin()->late);
  CHECK(parts.look(query) == Verdict::over);
  CHECK(parts.now == began + parts.environment.patience());
}

TEST_CASE("without a budget, or another upstream to ask, only patience counts") {
  Checks parts(0);
  parts.connect();
  const TimePoint began = parts.now;
  CHECK(parts.look(parts.sent("www.example")) == Verdict::over);
  CHECK(parts.now == began + parts.environment.patience());

  Checks narrow;
  narrow.connect();
  const QueryHandle query = narrow.begin("www.example", UpstreamMask(0));
  REQUIRE(narrow.router.route(query, narrow.now));
  CHECK(narrow.look(query) == Verdict::over);
}

TEST_CASE("a query that holds of the budget gives it back when it ends, or is sent with nothing else under way") {
  bool ends = false;
  SUBCASE("it ends") { ends = true; }
  SUBCASE("it is sent alone") {}
  Checks parts(0.001);
  parts.connect();
  std::vector<QueryHandle> hedged;
  // All that the budget has.
  for (int i = 0; i < 16; ++i) hedged.push_back(parts.sent("n" + std::to_string(i) + ".example"));
  const QueryHandle left_over = parts.sent("last.example");
  for (const QueryHandle query : hedged) {
    parts.checks.remove(query);
    parts.query(query).hedge_next = true;
    parts.query(query).hedge_at = parts.now;
    CHECK(parts.checks.judge(query, parts.now) == Verdict::late);
  }
  const auto judge_last = [&] {
    parts.checks.remove(left_over);
    parts.query(left_over).hedge_at = parts.now;
    return parts.checks.judge(left_over, parts.now);
  };
  CHECK(judge_last() == Verdict::early);
  CHECK(parts.checks.next() <= parts.now + QueryChecks::kHedgeInterval + milliseconds(1));
  Query& first = parts.query(hedged[0]);
  if (ends) {
    parts.checks.end(hedged[0], first);
  } else {
    first.attempts.erase_if([](const Attempt&) { return true; });
    parts.checks.spend_hedge(first);
  }
  CHECK(judge_last() == Verdict::late);
  CHECK(parts.count(Counter::upstream_hedged) == 0);
}

TEST_CASE("a second sending beside the first is counted, and paid") {
  Checks parts;
  parts.connect();
  const QueryHandle query = parts.sent("www.example");
  REQUIRE(parts.look(query) == Verdict::late);
  REQUIRE(parts.query(query).holds_hedge);
  parts.checks.spend_hedge(parts.query(query));
  CHECK(parts.count(Counter::upstream_hedged) == 1);
  CHECK_FALSE(parts.query(query).holds_hedge);
}

TEST_CASE("a look is ensured in one patience, and an earlier one stays") {
  Checks parts;
  const QueryHandle query = parts.begin("www.example");
  parts.checks.ensure(query, parts.now);
  CHECK(parts.checks.next() == parts.now + parts.environment.patience());
  parts.checks.set(query, parts.now + milliseconds(10), parts.now);
  parts.checks.ensure(query, parts.now);
  CHECK(parts.checks.next() == parts.now + milliseconds(10));
}

TEST_CASE("an upstream that is known to be slow costs no budget") {
  Checks parts(0.001);
  parts.connect();
  const QueryHandle query = parts.sent("www.example");
  parts.trouble({0, 0}, Trouble::slow);
  CHECK(parts.look(query) == Verdict::late);
  CHECK_FALSE(parts.query(query).holds_hedge);
}

TEST_CASE("patience on a slow path is longer than the wheel's horizon: it is looked at in between") {
  Checks parts(0);
  parts.config.relay.deadline = seconds(20);
  const ConnectionHandle handle = parts.connect();
  parts.connection(handle).slow_path.measured(seconds(2), parts.environment.patience(), seconds(20));
  const QueryHandle query = parts.sent("www.example");
  const TimePoint began = parts.now;
  CHECK(parts.look(query) == Verdict::early);
  Verdict verdict = Verdict::early;
  while (verdict == Verdict::early) verdict = parts.look(query);
  CHECK(verdict == Verdict::over);
  CHECK(parts.now >= began + milliseconds(3200));
}

}  // namespace
}  // namespace dotrelay::test
