// Queries whose last hope is an upstream in back-off, and dials beside connections that work: nobody is told an error
// while a healthy upstream is there, and nothing is dialled without end.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr unsigned kServfail = 2, kRefused = 5;

/// Up2 is in back-off, up1 connected; 250 ms later a client asks, and line 0 has its query.
std::uint32_t ask_while_second_backs_off(RelayFixture& relay) {
  relay.ask("warm.example");
  relay.ready(0);
  relay.answer(0, 0, kRefused);
  relay.refuse(1);
  relay.advance(milliseconds(250));
  return relay.ask("www.example");
}

TEST_CASE("an error is not final while an upstream in back-off has not been tried again") {
  RelayFixture relay({1, 1});
  const auto client = ask_while_second_backs_off(relay);
  relay.answer(0, 1, kRefused);
  CHECK_FALSE(relay.answered(client));
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(2).upstream == 1);
  SUBCASE("it has the answer") {
    relay.ready(2);
    relay.answer(2);
    CHECK(relay.rcode(client) == 0);
  }
  SUBCASE("it still refuses connections") {
    relay.refuse(2);
    CHECK(relay.rcode(client) == kRefused);
  }
  SUBCASE("it is silent: nobody waits longer than a dial may take") {
    relay.advance(milliseconds(999));
    CHECK_FALSE(relay.answered(client));
    relay.advance(milliseconds(1));
    CHECK(relay.rcode(client) == kRefused);
  }
}

TEST_CASE("a query that the only connected upstream does not take waits for a trial of the other one") {
  RelayFixture relay({1, 1});
  ask_while_second_backs_off(relay);
  relay.line(0).takes_queries = false;
  const auto client = relay.ask("more.example");
  CHECK_FALSE(relay.answered(client));
  REQUIRE(relay.upstreams.lines.size() == 3);
  SUBCASE("which takes it") {
    relay.ready(2);
    relay.answer_latest(2);
    CHECK(relay.rcode(client) == 0);
  }
  SUBCASE("which refuses connections") {
    relay.refuse(2);
    CHECK(relay.rcode(client) == kServfail);
    CHECK(contains(relay.explanation(client), "does not take queries fast enough"));
  }
}

TEST_CASE("an upstream whose connection died under a query may be asked again when the next one errs") {
  RelayFixture relay({1, 1}, 1, 1.0);
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(milliseconds(150));  // late: up2 is also asked
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.end(0);
  relay.advance(milliseconds(250));
  relay.answer(1, 0, kServfail);
  CHECK_FALSE(relay.answered(client));
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(2).upstream == 0);
  relay.ready(2);
  relay.answer(2);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("the first address is tried again while the second one of the upstream works, and takes over") {
  RelayFixture relay({2});
  relay.warm_up_second();
  relay.advance(milliseconds(260));
  relay.ask("second.example");
  CHECK(relay.line(1).sent.size() == 2);
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(2).address == 0);
  relay.ready(2);
  relay.ask("copied.example");
  REQUIRE(relay.line(2).sent.size() == 1);
  CHECK(relay.line(1).sent.size() == 3);
  relay.answer(2);
  CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): works again"));
  relay.ask("third.example");
  CHECK(relay.line(2).sent.size() == 2);
  CHECK(relay.line(1).sent.size() == 3);
}

TEST_CASE("a connection that gets a query at the end of its idle time is not closed under it") {
  RelayFixture relay({1, 1});
  relay.warm_up_second();
  relay.advance(milliseconds(29'900));
  relay.ask("second.example");  // a trial of up1 begins
  relay.answer(1, 1);
  REQUIRE(relay.upstreams.lines.size() == 3);
  relay.ready(2);
  relay.ask("third.example");
  relay.answer(2);
  relay.answer(1, 2);
  relay.advance(milliseconds(29'900));
  const auto client = relay.ask("www.example");
  REQUIRE(relay.line(2).sent.size() == 2);
  relay.line(2).silent = true;
  relay.now += milliseconds(101);  // up2's idle time has passed as well when up1's silence is noticed
  relay.forwarder.on_timer(relay.now);
  CHECK(relay.count(Counter::upstream_suspected) == 1);
  REQUIRE_FALSE(relay.line(1).gone);
  REQUIRE(relay.line(1).sent.size() == 4);
  relay.answer(1, 3);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("a server that wants no second connection is not dialled over and over for a query that needs one") {
  RelayFixture relay({1});
  for (int i = 0; i < 257; ++i) relay.ask("n" + std::to_string(i) + ".example");
  relay.ready(0);
  relay.ready(1);  // the load asked for it
  for (std::size_t i = 0; i < 257; ++i) relay.answer(0, i);
  relay.advance(milliseconds(1));
  relay.ask("www.example");
  relay.end(0);  // the query now wants a connection that is newer than line 1
  CHECK(relay.upstreams.lines.size() == 3);
  relay.refuse_all();
  for (int i = 0; i < 20; ++i) {
    relay.advance(milliseconds(50));
    relay.refuse_all();
  }
  CHECK(relay.upstreams.lines.size() <= 3 + 6);  // each 200 ms
}

TEST_CASE("when an outage ends, the dials that it has piled up leave one connection for each address") {
  RelayFixture relay({2});
  const auto client = relay.ask("www.example");
  relay.advance(milliseconds(1500));
  REQUIRE(relay.upstreams.open() > UpstreamSet::kMaxConnections);
  for (std::size_t i = 0; i < relay.upstreams.lines.size(); ++i) {
    if (!relay.line(i).gone) relay.ready(i);
  }
  CHECK(relay.upstreams.open() <= 3);
  relay.answer(0);
  CHECK(relay.rcode(client) == 0);
  CHECK_FALSE(contains(relay.logged(), "another one is ready"));
}

}  // namespace
}  // namespace dotrelay::test
