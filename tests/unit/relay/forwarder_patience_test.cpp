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

TEST_CASE("a dead path is given up, and its queries go elsewhere") {
  RelayFixture relay({1, 1});
  relay.ask("warm.example");
  relay.ready(0);
  relay.answer(0);
  const auto client = relay.ask("www.example");
  const auto other = relay.ask("other.example");
  relay.line(0).silent = true;
  relay.advance(milliseconds(61));
  CHECK_FALSE(relay.line(0).gone);
  relay.advance(milliseconds(1));
  CHECK(relay.line(0).gone);
  // At once: a fresh connection to the first, and one to the next upstream.
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.upstreams.dials(0) == 2);
  CHECK(relay.upstreams.dials(1) == 1);
  const std::size_t first = relay.line(1).upstream == 0 ? 1 : 2;
  const std::size_t second = 3 - first;
  SUBCASE("the next upstream is ready first") {
    relay.ready(second);
    relay.answer(second, 0);
    relay.answer(second, 1);
    // The fresh connection to the first has to prove itself with a copy of a query that goes to the second.
    relay.ready(first);
    CHECK(relay.line(first).sent.empty());
    relay.ask("copied.example");
    REQUIRE(relay.line(first).sent.size() == 1);
    CHECK(relay.line(second).sent.size() == 3);
    CHECK(relay.count(Counter::upstream_trials) == 1);
    relay.answer(first);
    relay.ask("back.example");
    CHECK(relay.line(first).sent.size() == 2);
    CHECK(relay.line(second).sent.size() == 3);
  }
  SUBCASE("the fresh connection is ready first") {
    relay.ready(first);
    relay.answer(first, 0);
    relay.answer(first, 1);
    CHECK(relay.line(second).sent.empty());
  }
  CHECK(relay.rcode(client) == 0);
  CHECK(relay.rcode(other) == 0);
  CHECK(relay.count(Counter::upstream_silent) == 1);
  CHECK(contains(relay.logged(), "info    worker 1: upstream up1 (192.0.2.1:853): its connection went silent"));
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("when the fresh connection does not come up either, it is the address that has failed") {
  RelayFixture relay({1, 1});
  relay.ask("www.example");
  relay.ready(0);
  relay.line(0).silent = true;
  relay.advance(milliseconds(62));
  relay.ready(relay.line(1).upstream == 1 ? 1 : 2);
  relay.advance(milliseconds(3200));
  CHECK(contains(relay.logged(), "warning worker 1: upstream up1 (192.0.2.1:853): connection timed out"));
}

TEST_CASE("a connection whose octets are all acknowledged is looked at again only when more was sent") {
  RelayFixture relay;
  relay.ask("one.example");
  relay.ready(0);
  relay.advance(milliseconds(100));
  relay.line(0).silent = true;
  relay.advance(milliseconds(600));
  CHECK_FALSE(relay.line(0).gone);
  relay.ask("two.example");
  relay.advance(milliseconds(62));
  CHECK(relay.line(0).gone);
}

TEST_CASE("a dead path to the only upstream: a fresh connection at once") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.line(0).silent = true;
  relay.advance(milliseconds(62));
  CHECK(relay.line(0).gone);
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
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

TEST_CASE("calls to the timer before time change nothing") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  for (int i = 0; i < 100; ++i) relay.forwarder.on_timer(relay.now);
  CHECK(relay.upstreams.lines.size() == 1);
  CHECK_FALSE(relay.answered(client));
}

}  // namespace
}  // namespace dotrelay::test
