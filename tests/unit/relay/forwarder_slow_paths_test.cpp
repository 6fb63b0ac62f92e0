// Links with round trips of seconds: dials and answers get the time that the way takes.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr Duration kDeadline = seconds(4);

TEST_CASE("what a round trip grants") {
  SlowPath path(seconds(1));
  CHECK(path.patience() == seconds(1));
  CHECK(path.soonest_answer() == Duration{});
  path.measured(milliseconds(20), seconds(1), kDeadline);
  CHECK(path.patience() == seconds(1));
  CHECK(path.soonest_answer() == std::chrono::microseconds(22'500));
  path.measured(milliseconds(1200), seconds(1), kDeadline);
  CHECK(path.patience() == seconds(2));
  path.measured(Duration{}, seconds(1), kDeadline);
  CHECK(path.patience() == seconds(2));
  path.measured(seconds(3), seconds(1), kDeadline);
  CHECK(path.patience() == seconds(3));
  CHECK(SlowPath::handshake_limit(seconds(2)) == seconds(7));
}

TEST_CASE("a round trip of 1.2 s: a query is sent once") {
  RelayFixture relay({1, 1}, 1, 0.1);
  relay.ask("first.example");
  relay.line(0).round_trip = milliseconds(1200);
  relay.ready(0);
  relay.advance(milliseconds(1210));
  relay.answer(0);
  const std::size_t dials = relay.upstreams.lines.size();
  for (int i = 0; i < 10; ++i) {
    const auto client = relay.ask("n" + std::to_string(i) + ".example");
    relay.advance(milliseconds(1210));
    relay.answer_latest(0);
    CHECK(relay.rcode(client) == 0);
  }
  CHECK(relay.upstreams.lines.size() == dials);
  CHECK(relay.count(Counter::upstream_queries) == 11);
  CHECK(relay.count(Counter::upstream_hedged) == 0);
}

TEST_CASE("a round trip of 2 s: the dial outlives its query, and serves the next ones") {
  RelayFixture relay;
  const auto early = relay.ask("early.example");
  relay.advance(seconds(2));
  relay.line(0).round_trip = seconds(2);  // TCP is connected
  relay.notify(relay.line(0));
  relay.advance(milliseconds(2500));
  CHECK(relay.rcode(early) == 2);
  REQUIRE_FALSE(relay.line(0).gone);
  relay.ready(0);
  const auto client = relay.ask("www.example");
  relay.advance(milliseconds(2010));
  relay.answer(0);
  CHECK(relay.rcode(client) == 0);
  CHECK(relay.line(0).sent.size() == 1);
}

TEST_CASE("a query that a slow path was asked late is asked elsewhere before the last quarter of its time") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.advance(milliseconds(1800));
  relay.line(0).round_trip = milliseconds(1440);
  relay.ready(0);
  REQUIRE(relay.line(0).sent.size() == 1);
  relay.ready(1);
  relay.advance(milliseconds(1199));
  CHECK(relay.line(1).sent.empty());
  relay.advance(milliseconds(1));
  REQUIRE(relay.line(1).sent.size() == 1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("a handshake that never ends is given up after three round trips and a second") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.advance(seconds(2));
  relay.line(0).round_trip = seconds(2);
  relay.notify(relay.line(0));
  relay.advance(milliseconds(6999));
  CHECK_FALSE(relay.line(0).gone);
  relay.advance(milliseconds(1));
  CHECK(relay.line(0).gone);
}

}  // namespace
}  // namespace dotrelay::test
