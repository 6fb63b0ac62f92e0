// Every limit of the forwarder: what happens on reaching it, and that it is given back.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

std::string numbered(std::size_t i) { return "n" + std::to_string(i) + ".example"; }

TEST_CASE("one address may have 8,192 queries waiting; others are served meanwhile") {
  RelayFixture relay;
  for (std::size_t i = 0; i < ClientQuota::kMaxWaiting; ++i) relay.ask(numbered(i % 4000));
  const auto refused = relay.ask("www.example");
  CHECK(relay.rcode(refused) == 2);
  CHECK(relay.explanation(refused) == "0 too many queries from this address");
  CHECK(relay.count(Counter::overloaded) == 1);
  const auto other = relay.ask("www.example", {.source = 2});
  CHECK_FALSE(relay.answered(other));
  relay.advance(seconds(4));
  CHECK(relay.client(relay.ask("www.example")).waiting);
}

TEST_CASE("10,000 clients may share one question") {
  RelayFixture relay;
  for (std::size_t i = 0; i < Forwarder::kMaxWaitersPerQuery; ++i)
    relay.ask("www.example", {.source = static_cast<unsigned>(1 + i % 2)});
  const auto refused = relay.ask("www.example", {.source = 3});
  CHECK(relay.explanation(refused) == "0 too many queries");
  const auto other = relay.ask("other.example", {.source = 3});
  CHECK(relay.client(other).waiting);
  relay.ready(0);
  relay.answer(0, 0);
  CHECK(relay.count(Counter::answers) == 10'001);
}

TEST_CASE("32,768 different questions at once, 65,536 clients, and all of it is given back") {
  RelayFixture relay;
  for (std::size_t i = 0; i < Forwarder::kMaxQueries; ++i)
    relay.ask(numbered(i), {.source = static_cast<unsigned>(i % 32)});
  CHECK(relay.count(Counter::overloaded) == 0);
  const auto refused = relay.ask("www.example", {.source = 100});
  CHECK(relay.explanation(refused) == "0 too many queries");
  for (std::size_t i = 0; i < Forwarder::kMaxQueries; ++i)
    relay.ask(numbered(i), {.source = static_cast<unsigned>(i % 32)});
  CHECK(relay.count(Counter::overloaded) == 1);
  const auto one_more = relay.ask(numbered(0), {.source = 100});
  CHECK(relay.explanation(one_more) == "0 too many queries");
  relay.advance(seconds(4));
  CHECK(relay.forwarder.idle());
  CHECK(relay.count(Counter::answers) == 65'538);
  CHECK(relay.client(relay.ask("www.example", {.source = 100})).waiting);
}

TEST_CASE("a connection that does not take queries fast enough: the next upstream") {
  RelayFixture relay({1, 1});
  relay.ask("warm.example");
  relay.ready(0);
  relay.answer(0);
  relay.line(0).takes_queries = false;
  const auto client = relay.ask("www.example");
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  CHECK_FALSE(relay.line(0).gone);
}

TEST_CASE("when no upstream takes queries fast enough the client is told, and nothing spins") {
  RelayFixture relay({1, 1});
  relay.ask("warm.example");
  relay.ready(0);
  relay.answer(0);
  relay.line(0).takes_queries = false;
  const auto client = relay.ask("www.example");
  relay.line(1).takes_queries = false;
  relay.ready(1);
  CHECK(relay.explanation(client) ==
        "22 up1 (192.0.2.1:853): does not take queries fast enough; up2 (192.0.2.2:853): does not take queries fast "
        "enough");
}

TEST_CASE("messages that are not to be relayed go nowhere") {
  RelayFixture relay;
  CHECK_FALSE(relay.answered(relay.send({})));
  CHECK_FALSE(relay.answered(relay.send(Octets(11, 0))));
  CHECK_FALSE(relay.answered(relay.send(MessageBuilder(1, 0x8180).question("www.example"))));
  CHECK(relay.count(Counter::ignored) == 3);
  CHECK(relay.rcode(relay.send(MessageBuilder(1, 0x0100).question("www.example").question("www.example"))) == 1);
  CHECK(relay.rcode(relay.ask("www.example", {.type = 252})) == 5);
  CHECK(relay.rcode(relay.ask("www.example", {.flags = 0x2800})) == 4);
  CHECK(relay.rcode(relay.ask("www.onion")) == 3);
  CHECK(relay.rcode(relay.ask("www.example", {.options = edns_option(5, Octets(1100, 1))})) == 1);
  CHECK(relay.count(Counter::rejected) == 4);
  CHECK(relay.count(Counter::answered_locally) == 1);
  CHECK(relay.upstreams.lines.empty());
  CHECK(relay.forwarder.idle());
}

}  // namespace
}  // namespace dotrelay::test
