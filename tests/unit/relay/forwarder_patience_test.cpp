// Silence: slow is not dead, the next upstream is asked meanwhile, and every client is answered at its own deadline.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

TEST_CASE("after a quarter of the deadline the next upstream is asked too, and the first answer wins") {
  RelayFixture relay({1, 1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(milliseconds(999));
  CHECK(relay.upstreams.lines.size() == 1);
  relay.advance(milliseconds(1));
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  REQUIRE(relay.line(1).sent.size() == 1);
  std::size_t loser = 0;
  SUBCASE("the first") {
    relay.answer(0);
    loser = 1;
  }
  SUBCASE("the second") { relay.answer(1); }
  CHECK(relay.rcode(client) == 0);
  CHECK_FALSE(relay.line(0).gone);  // slow is not dead
  relay.answer(loser);
  CHECK(relay.count(Counter::upstream_late) == 1);
  CHECK(relay.client(client).answers.size() == 1);
  CHECK(relay.upstreams.dials(2) == 0);
}

TEST_CASE("three silent upstreams are all asked before the deadline") {
  RelayFixture relay({1, 1, 1});
  const auto client = relay.ask("www.example");
  for (std::size_t i = 0; i < 3; ++i) {
    relay.ready(i);
    REQUIRE(relay.line(i).sent.size() == 1);
    relay.advance(seconds(1));
  }
  CHECK_FALSE(relay.answered(client));
  relay.advance(seconds(1));
  CHECK(relay.explanation(client) ==
        "22 up1 (192.0.2.1:853): no answer in time; up2 (192.0.2.2:853): no answer in time; "
        "up3 (192.0.2.3:853): no answer in time");
  CHECK(relay.client(client).answered_at == relay.client(client).asked_at + seconds(4));
}

TEST_CASE("clients that share a question keep their own deadlines") {
  RelayFixture relay;
  const auto early = relay.ask("www.example");
  relay.ready(0);
  relay.advance(milliseconds(1500));
  const auto late = relay.ask("www.example");
  CHECK(relay.count(Counter::shared) == 1);
  relay.advance(milliseconds(2500));
  CHECK(relay.rcode(early) == 2);
  CHECK_FALSE(relay.answered(late));
  relay.advance(milliseconds(1000));
  relay.answer(0);
  CHECK(relay.rcode(late) == 0);
  CHECK(relay.client(early).answers.size() == 1);
}

TEST_CASE("the deadline is the configured one") {
  RelayFixture relay;
  relay.config.relay.deadline = milliseconds(500);
  const auto client = relay.ask("www.example");
  relay.advance(milliseconds(499));
  CHECK_FALSE(relay.answered(client));
  relay.advance(milliseconds(1));
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): connection timed out");
}

TEST_CASE("a client without EDNS gets the bare SERVFAIL") {
  RelayFixture relay;
  const auto client = relay.ask("wwW.example", {.edns = false});
  relay.advance(seconds(4));
  CHECK(relay.got(client) == "1234 response rd ra SERVFAIL\nquestion wwW.example. A IN\n");
}

TEST_CASE("a query that waits for a slow first answer still uses an upstream that comes up later") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.advance(milliseconds(1500));
  relay.ready(1);
  REQUIRE(relay.line(1).sent.size() == 1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("from half of its time on a query waits for no dial where another upstream has a connection") {
  RelayFixture relay({1, 1});
  const auto slow = relay.ask("slow.example");
  relay.line(0).round_trip = milliseconds(1800);
  relay.ready(0);
  relay.advance(milliseconds(2950));
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  relay.answer(0);
  CHECK(relay.rcode(slow) == 0);
  const auto client = relay.ask("www.example");
  REQUIRE(relay.line(0).sent.size() == 2);
  Duration wait{};
  SUBCASE("soon") { wait = milliseconds(1900); }
  SUBCASE("late") { wait = milliseconds(2100); }
  relay.advance(wait);
  relay.end(0);
  CHECK(relay.line(1).sent.size() == (wait < seconds(2) ? 1 : 2));
  CHECK(relay.upstreams.dials(0) == (wait < seconds(2) ? 2 : 1));
  relay.advance(milliseconds(1000));
  REQUIRE(relay.line(1).sent.size() == 2);
  relay.answer(1, 1);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("calls to the timer before time change nothing") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  for (int i = 0; i < 100; ++i) relay.forwarder.on_timer(relay.now);
  CHECK(relay.upstreams.lines.size() == 1);
  CHECK_FALSE(relay.answered(client));
}

}  // namespace
}  // namespace dotrelay::test
