// The last word: which of an error and a cause a client gets, and that nothing of the query is left.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

unsigned rcode(const Octets& answer) { return answer.at(3) & 15U; }

TEST_CASE("the error that an upstream gave is better than a cause; one that cannot be relayed is not") {
  for (const bool malformed : {false, true}) {
    PartsFixture parts;
    const QueryHandle query = parts.begin("www.example");
    parts.query(query).error = std::make_unique<ErrorAnswer>(ErrorAnswer{dns::Rcode::refused, {0, 0}, {}, malformed});
    parts.endings.give_up(query, parts.now);
    REQUIRE(parts.channel.clients[0].answers.size() == 1);
    CHECK(rcode(parts.channel.clients[0].answers[0]) == (malformed ? 2 : 5));
  }
}

TEST_CASE("nothing is left of a query that has ended: no memory, no place in any table") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  parts.endings.give_up(query, parts.now);
  CHECK(parts.queries.size() == 0);
  CHECK(parts.clients.empty());
  CHECK(parts.memory.used() == 0);
  CHECK(parts.connection(handle).pending.live() == 0);
  CHECK(parts.router.checks().next() == kNever);
}

TEST_CASE("a client whose deadline has passed is told; the others may get a better answer") {
  PartsFixture parts;
  const QueryHandle query = parts.begin("www.example");
  parts.now += seconds(1);
  REQUIRE(parts.clients.admit(0));
  parts.clients.on_shared();
  const std::uint32_t second = parts.wait_for(query, MessageBuilder(9).question("www.example"));
  parts.now += parts.config.relay.deadline - seconds(1);
  parts.endings.expire(parts.now);
  CHECK(parts.channel.clients[0].answers.size() == 1);
  CHECK(parts.channel.clients[second].answers.empty());
  CHECK(parts.queries.size() == 1);
  parts.now += seconds(1);
  parts.endings.expire(parts.now);
  CHECK(parts.channel.clients[second].answers.size() == 1);
  CHECK(parts.queries.size() == 0);
}

TEST_CASE("a query that begins without hope is answered from accept()") {
  PartsFixture parts;
  parts.trouble({0, 0}, Trouble::authentication);
  const QueryHandle query = parts.begin("www.example");
  REQUIRE_FALSE(parts.router.route(query, parts.now));
  const Accepted accepted = parts.endings.give_up_at_once(query, parts.now);
  CHECK(accepted.kind == Accepted::Kind::answered);
  CHECK(parts.channel.clients[0].answers.empty());
  CHECK(parts.queries.size() == 0);
}

}  // namespace
}  // namespace dotrelay::test
