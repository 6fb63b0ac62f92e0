// Paths that went silent: what was sent is asked elsewhere at once, and the connection is kept until it is known
// whether the path is dead or the peer only acknowledges late.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// A relay whose first connection has proven itself and goes silent under two queries.
struct SilentPath : RelayFixture {
  explicit SilentPath(std::initializer_list<std::size_t> addresses_of_upstreams = {1, 1})
      : RelayFixture(addresses_of_upstreams) {
    warm_up();
    client = ask("www.example");
    other = ask("other.example");
    line(0).silent = true;
    advance(milliseconds(61));
    CHECK(upstreams.lines.size() == 1);
    advance(milliseconds(1));
  }

  std::uint32_t client = 0;
  std::uint32_t other = 0;
};

TEST_CASE("a path goes silent: a fresh connection and the next upstream are asked at once, and the old one is kept") {
  SilentPath relay;
  CHECK_FALSE(relay.line(0).gone);
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.upstreams.dials(0) == 2);
  CHECK(relay.upstreams.dials(1) == 1);
  CHECK(relay.count(Counter::upstream_suspected) == 1);
  CHECK(relay.count(Counter::upstream_silent) == 0);
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
  CHECK(relay.rcode(relay.client) == 0);
  CHECK(relay.rcode(relay.other) == 0);
  CHECK(relay.line(0).sent.size() == 3);
  relay.advance(Suspicion::kKept - milliseconds(1));
  CHECK_FALSE(relay.line(0).gone);
  relay.advance(milliseconds(20));
  CHECK(relay.line(0).gone);
  CHECK(relay.count(Counter::upstream_silent) == 1);
  CHECK(contains(relay.logged(), "info    worker 1: upstream up1 (192.0.2.1:853): its connection went silent"));
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("the acknowledgement comes late: the connection is used again, and the delay is granted from then on") {
  SilentPath relay;
  relay.advance(milliseconds(100));
  relay.line(0).silent = false;
  relay.line(0).late = milliseconds(150);
  relay.advance(milliseconds(16));
  CHECK_FALSE(relay.line(0).gone);
  // The dials are not needed any more to this address.
  CHECK(relay.upstreams.open() == 2);
  relay.ask("again.example");
  CHECK(relay.line(0).sent.size() == 4);
  for (std::size_t i = 1; i < 4; ++i) relay.answer(0, i);
  CHECK(relay.rcode(relay.client) == 0);
  CHECK(relay.rcode(relay.other) == 0);
  relay.advance(milliseconds(100));
  CHECK(relay.line(0).granted == milliseconds(150));
  CHECK(relay.count(Counter::upstream_silent) == 0);
  CHECK(contains(relay.logged(), "acknowledges late, it is given 150 ms more"));
  CHECK_FALSE(contains(relay.logged(), "warning"));
  // What the connection says of the address counts as before.
  relay.ask("failing.example");
  relay.end(0, CloseKind::protocol, "answers that match no query");
  CHECK(contains(relay.logged(), "warning worker 1: upstream up1 (192.0.2.1:853): answers that match no query"));
}

TEST_CASE("the answer comes on a suspect: it counts, and so does the connection") {
  SilentPath relay;
  relay.line(0).late = milliseconds(80);
  relay.advance(milliseconds(80));
  relay.line(0).silent = false;
  relay.answer(0, 1);
  CHECK(relay.rcode(relay.client) == 0);
  relay.ask("again.example");
  CHECK(relay.line(0).sent.size() == 4);
  CHECK(relay.health[0].acknowledgement_delay != 0);
}

TEST_CASE("one upstream alone acknowledges late: one more connection, and nothing is passed over") {
  RelayFixture relay;
  relay.warm_up();
  for (int i = 0; i < 15; ++i) {
    const auto client = relay.ask("n" + std::to_string(i) + ".example");
    std::size_t used = 0;
    for (std::size_t j = 0; j < relay.upstreams.lines.size(); ++j) {
      if (!relay.line(j).gone && !relay.line(j).reserved.empty()) used = j;
    }
    relay.line(used).silent = true;
    for (int step = 0; step < 30; ++step) {
      relay.advance(milliseconds(10));
      // The fake path is silent for 200 ms, of which what was learned is granted.
      if (step < 19) relay.line(used).silent = relay.line(used).granted < milliseconds(10 * step - 60);
    }
    relay.line(used).silent = false;
    relay.line(used).late = milliseconds(200);
    relay.advance(milliseconds(20));
    if (!relay.answered(client)) relay.answer_latest(used);
    CHECK(relay.answered(client));
    relay.advance(seconds(1));
  }
  CHECK(relay.upstreams.lines.size() <= 3);
  CHECK(relay.count(Counter::upstream_silent) == 0);
  CHECK_FALSE(contains(relay.logged(), "passed over"));
}

TEST_CASE("a queue fills on the way to all upstreams: nothing is given up before something else has answered") {
  SilentPath relay;
  relay.advance(seconds(1));
  CHECK_FALSE(relay.line(0).gone);
  relay.line(0).silent = false;
  relay.answer(0, 1);
  relay.answer(0, 2);
  CHECK(relay.rcode(relay.client) == 0);
  CHECK(relay.rcode(relay.other) == 0);
  CHECK(relay.count(Counter::upstream_silent) == 0);
}

TEST_CASE("when the fresh connection does not come up either, it is the address that has failed") {
  SilentPath relay;
  relay.ready(relay.line(1).upstream == 1 ? 1 : 2);
  relay.advance(milliseconds(3200));
  CHECK(contains(relay.logged(), "warning worker 1: upstream up1 (192.0.2.1:853): connection timed out"));
}

TEST_CASE("a fresh connection that also went silent is the address's trouble") {
  SilentPath relay;
  const std::size_t first = relay.line(1).upstream == 0 ? 1 : 2;
  relay.ready(3 - first);
  relay.answer(3 - first, 0);
  relay.ready(first);
  relay.ask("copied.example");
  relay.answer(3 - first, 2);
  relay.line(first).silent = true;
  relay.advance(milliseconds(62));
  relay.ask("later.example");
  relay.answer(3 - first, 3);
  relay.advance(milliseconds(600));
  CHECK(relay.line(first).gone);
  CHECK(contains(relay.logged(), "warning worker 1: upstream up1 (192.0.2.1:853): connection timed out"));
}

TEST_CASE("a connection whose octets are all acknowledged is looked at again only when more was sent") {
  RelayFixture relay;
  relay.ask("one.example");
  relay.ready(0);
  relay.advance(milliseconds(100));
  relay.line(0).silent = true;
  relay.advance(milliseconds(600));
  CHECK(relay.count(Counter::upstream_suspected) == 0);
  relay.ask("two.example");
  relay.advance(milliseconds(62));
  CHECK(relay.count(Counter::upstream_suspected) == 1);
}

TEST_CASE("a dead path to the only upstream: a fresh connection at once, which answers") {
  SilentPath relay({1});
  REQUIRE(relay.upstreams.lines.size() == 2);
  const auto late = relay.ask("late.example");
  CHECK(relay.line(0).sent.size() == 3);
  relay.ready(1);
  REQUIRE(relay.line(1).sent.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) relay.answer(1, i);
  CHECK(relay.rcode(relay.client) == 0);
  CHECK(relay.rcode(late) == 0);
}

TEST_CASE("other idle connections to the address get no queries either, until it is known") {
  RelayFixture relay({1, 1});
  for (int i = 0; i < 257; ++i) relay.ask("n" + std::to_string(i) + ".example");
  relay.ready(0);
  relay.ready(1);
  for (std::size_t i = 0; i < 257; ++i) relay.answer(0, i);
  const auto client = relay.ask("www.example");
  relay.line(0).silent = true;
  relay.advance(milliseconds(62));
  CHECK(relay.line(1).sent.empty());
  REQUIRE(relay.upstreams.lines.size() == 4);
  const std::size_t second = relay.line(2).upstream == 1 ? 2 : 3;
  SUBCASE("dead") {
    relay.ready(second);
    relay.answer(second);
    CHECK(relay.rcode(client) == 0);
    relay.advance(milliseconds(520));
    CHECK(relay.line(0).gone);
    CHECK(relay.line(1).gone);
  }
  SUBCASE("alive") {
    relay.line(0).silent = false;
    relay.advance(milliseconds(20));
    relay.end(0);
    CHECK(relay.line(1).sent.empty());  // as old as the one that closed
    relay.ask("next.example");
    CHECK(relay.line(1).sent.size() == 1);
  }
}

TEST_CASE("a suspect that its peer resets leaves nothing behind") {
  SilentPath relay;
  relay.end(0, CloseKind::closed_by_peer, "connection reset by peer");
  REQUIRE(relay.upstreams.lines.size() == 3);
  relay.ready(1);
  relay.answer(1, 0);
  relay.answer(1, 1);
  CHECK(relay.rcode(relay.client) == 0);
  CHECK(relay.rcode(relay.other) == 0);
}

TEST_CASE("at the deadline a query that only a suspect has is told that the connection timed out") {
  SilentPath relay({1});
  relay.advance(seconds(4));
  CHECK(relay.explanation(relay.client) == "22 up1 (192.0.2.1:853): connection timed out");
}

}  // namespace
}  // namespace dotrelay::test
