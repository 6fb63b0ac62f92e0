// Connections that TCP calls alive and that bring no answers: other ones are asked after patience, new queries avoid
// them, and in the end they are closed.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

TEST_CASE("the only upstream's first address accepts and never answers: its second address is asked after patience") {
  RelayFixture relay({2});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).address == 1);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  SUBCASE("and later queries go there at once") {
    relay.ask("later.example");
    CHECK(relay.line(0).sent.size() == 1);
    CHECK(relay.line(1).sent.size() == 2);
  }
  SUBCASE("and when it goes on, the first address is passed over") {
    for (int i = 0; i < 5; ++i) {
      if (relay.line(0).state == Connection::State::ready && !relay.line(0).gone) {
        const auto other = relay.ask("n" + std::to_string(i) + ".example");
        relay.advance(milliseconds(10));
        relay.answer_latest(1);
        CHECK(relay.rcode(other) == 0);
      }
    }
  }
}

TEST_CASE("the only address's connection goes mute: a fresh one is made beside it") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK_FALSE(relay.line(0).gone);
  SUBCASE("it answers") {
    relay.ready(1);
    relay.answer(1);
  }
  SUBCASE("the mute one answers after all") { relay.answer(0); }
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("an answer to another query, but no frame that matches nothing, shows that a connection is not mute") {
  RelayFixture relay;
  relay.ask("slow.example");
  relay.ready(0);
  relay.advance(milliseconds(900));
  relay.ask("www.example");
  SUBCASE("an answer") {
    relay.answer(0, 1);
    relay.advance(milliseconds(1000));
    CHECK(relay.upstreams.lines.size() == 1);
  }
  SUBCASE("garbage") {
    relay.receive(0, Octets(20, 0x80));
    relay.advance(milliseconds(100));
    CHECK(relay.upstreams.lines.size() == 2);
  }
}

TEST_CASE("a mute connection is closed when nobody can wait for its answers any more") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  relay.advance(milliseconds(6999));
  CHECK_FALSE(relay.line(0).gone);
  relay.advance(milliseconds(1));
  CHECK(relay.line(0).gone);
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("a server that is mute on all connections is not dialled without end") {
  RelayFixture relay;
  std::size_t ready = 0;
  for (int i = 0; i < 300; ++i) {
    relay.ask("n" + std::to_string(i) + ".example");
    for (; ready < relay.upstreams.lines.size(); ++ready) {
      if (!relay.line(ready).gone) relay.ready(ready);
    }
    relay.advance(milliseconds(100));
    CHECK(relay.upstreams.open() <= 12);
  }
  CHECK(relay.upstreams.lines.size() <= 45);  // in 30 s
}

}  // namespace
}  // namespace dotrelay::test
