// Late answers on living connections: asked at the next upstream too, within a budget; an upstream that is persistently
// late, or answers with errors where others do not, is passed over and tried with copies of queries.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// Two upstreams, the first connected and known to answer within 20 ms.
class Hedging : public RelayFixture {
 public:
  explicit Hedging(double share = 0.1) : RelayFixture({1, 1}, 1, share) {
    warm_up();
    for (int i = 0; i < 200; ++i) {
      ask_next();
      answer_latest(0);
    }
  }

  std::uint32_t ask_next() { return ask("n" + std::to_string(asked_++) + ".example"); }

  /// The first upstream stays silent, the second answers at once, until the first counts as slow.
  void turn_slow() {
    for (int i = 0; i < 8; ++i) {
      ask_next();
      advance(milliseconds(20));
      if (upstreams.lines.size() == 1) continue;
      if (line(1).state == Connection::State::connecting) ready(1);
      while (second_answered_ < line(1).sent.size()) answer(1, second_answered_++);
    }
    advance(milliseconds(420));
    while (second_answered_ < line(1).sent.size()) answer(1, second_answered_++);
  }

  std::size_t second_answered_ = 0;

 private:
  int asked_ = 0;
};

TEST_CASE("a query that waits longer than usual is also asked at the next upstream, and the first answer counts") {
  Hedging relay;
  const auto client = relay.ask_next();
  relay.advance(milliseconds(19));
  CHECK(relay.upstreams.lines.size() == 1);
  relay.advance(milliseconds(1));
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).upstream == 1);
  relay.ready(1);
  REQUIRE(relay.line(1).sent.size() == 1);
  CHECK(relay.count(Counter::upstream_hedged) == 1);
  SUBCASE("of the first") { relay.answer_latest(0); }
  SUBCASE("of the second") { relay.answer(1); }
  CHECK(relay.rcode(client) == 0);
  CHECK_FALSE(relay.line(0).gone);  // slow is not dead
}

TEST_CASE("the other address of the same upstream is never asked for being late") {
  RelayFixture relay({2}, 1, 1.0);
  relay.ask("www.example");
  relay.ready(0);
  relay.advance(milliseconds(999));
  CHECK(relay.upstreams.lines.size() == 1);
  CHECK(relay.count(Counter::upstream_hedged) == 0);
}

TEST_CASE("a copy for a trial changes nothing for its query: late or dead, it is asked elsewhere as soon as without") {
  RelayFixture relay({1, 1, 1}, 1, 1.0);
  relay.warm_up();
  for (int i = 0; i < 5; ++i) {  // up1 errs, up2 knows
    relay.ask("n" + std::to_string(i) + ".example");
    relay.answer_latest(0, 2);
    if (i == 0) relay.ready(1);
    relay.answer_latest(1);
  }
  relay.advance(milliseconds(260));
  const std::size_t before = relay.line(0).sent.size();
  const auto client = relay.ask("www.example");
  REQUIRE(relay.line(0).sent.size() == before + 1);
  REQUIRE(relay.count(Counter::upstream_trials) == 1);
  SUBCASE("late") {
    relay.advance(milliseconds(110));
    REQUIRE(relay.upstreams.lines.size() == 3);
    CHECK(relay.line(2).upstream == 2);
    relay.ready(2);
    CHECK(relay.count(Counter::upstream_hedged) >= 1);
  }
  SUBCASE("dead") {
    relay.end(1);
    REQUIRE(relay.upstreams.lines.size() == 3);
    CHECK(relay.line(2).upstream == 1);
    relay.ready(2);
  }
  relay.answer_latest(2);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("no more than the share of all queries is asked twice") {
  for (const double share : {0.0, 0.1, 0.5}) {
    CAPTURE(share);
    Hedging relay(share);
    // The first answers all, but always late; the second never: so nothing shows that the first is slow.
    constexpr int kQueries = 1000;
    for (int i = 0; i < kQueries; ++i) {
      relay.ask_next();
      relay.advance(milliseconds(150));
      for (std::size_t line = 1; line < relay.upstreams.lines.size(); ++line) {
        if (relay.line(line).state == Connection::State::connecting) relay.ready(line);
      }
      relay.answer_latest(0);
    }
    const auto hedged = static_cast<double>(relay.count(Counter::upstream_hedged));
    CHECK(hedged <= share * (kQueries + 201) + HedgeBudget::kBurst);
    CHECK((hedged > 0) == (share > 0));
  }
}

TEST_CASE("an upstream that others prove slow is passed over, and what waits there is asked elsewhere at once") {
  Hedging relay;
  relay.turn_slow();
  CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): no answer within 400 ms; it is passed over"));
  CHECK_FALSE(relay.line(0).gone);
  for (const auto& [number, client] : relay.channel.clients) {
    CAPTURE(number);
    CHECK(client.answers.size() == 1);
  }
  const std::size_t before = relay.line(0).sent.size();
  const auto client = relay.ask_next();
  REQUIRE(relay.line(1).sent.size() == relay.second_answered_ + 1);
  relay.answer_latest(1);
  CHECK(relay.rcode(client) == 0);
  CHECK(relay.line(0).sent.size() == before);  // no trial is due yet
}

TEST_CASE("a slow upstream is tried with copies of queries and takes over again when one is answered in time") {
  Hedging relay;
  relay.turn_slow();
  relay.advance(milliseconds(260));
  const std::size_t before = relay.line(0).sent.size();
  const auto copied = relay.ask_next();
  REQUIRE(relay.line(0).sent.size() == before + 1);
  relay.answer_latest(1);  // the client need not wait for the trial
  CHECK(relay.rcode(copied) == 0);
  SUBCASE("in time") {
    relay.advance(milliseconds(100));
    relay.answer_latest(0);
    CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): works again"));
    relay.ask_next();
    CHECK(relay.line(0).sent.size() == before + 2);
  }
  SUBCASE("too late: the next trial takes longer to come") {
    relay.advance(milliseconds(410));
    relay.answer_latest(0);
    CHECK_FALSE(contains(relay.logged(), ": works again"));
    relay.ask_next();
    relay.answer_latest(1);
    CHECK(relay.line(0).sent.size() == before + 1);
    relay.advance(milliseconds(510));
    relay.ask_next();
    CHECK(relay.line(0).sent.size() == before + 2);
  }
}

TEST_CASE("a slow upstream is still better than none") {
  Hedging relay;
  relay.turn_slow();
  relay.end(1);
  const std::size_t before = relay.line(0).sent.size();
  const auto client = relay.ask_next();
  relay.refuse_all();
  CHECK(relay.line(0).sent.size() == before + 1);
  relay.answer_latest(0);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("domains that nobody answers make no upstream slow") {
  Hedging relay(1.0);
  for (int i = 0; i < 50; ++i) {
    relay.ask_next();
    relay.advance(milliseconds(100));
    for (std::size_t line = 1; line < relay.upstreams.lines.size(); ++line) {
      if (!relay.line(line).gone && relay.line(line).state == Connection::State::connecting) relay.ready(line);
    }
  }
  relay.advance(seconds(3));
  CHECK_FALSE(contains(relay.logged(), "passed over"));
}

TEST_CASE("errors where another upstream has the answer: passed over, until an answer is good again") {
  Hedging relay(0);
  for (int i = 0; i < 5; ++i) {
    const auto client = relay.ask_next();
    relay.answer_latest(0, 2);
    if (relay.line(1).state == Connection::State::connecting) relay.ready(1);
    relay.answer_latest(1);
    CHECK(relay.rcode(client) == 0);
  }
  CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): answers with errors where others have an answer; it is passed"));
  const std::size_t before = relay.line(0).sent.size();
  relay.ask_next();
  CHECK(relay.line(0).sent.size() == before);
  relay.answer_latest(1);
  relay.advance(milliseconds(260));
  relay.ask_next();
  REQUIRE(relay.line(0).sent.size() == before + 1);
  relay.answer_latest(0);
  CHECK(contains(relay.logged(), ": works again"));
}

TEST_CASE("one domain that an upstream answers with errors, where another has the answer, moves no other") {
  Hedging relay(0);
  for (int i = 0; i < 80; ++i) {
    const auto blocked = relay.ask("host" + std::to_string(i) + ".Zone.Example");
    relay.answer_latest(0, i % 2 == 0 ? 2 : 5);
    if (relay.line(1).state == Connection::State::connecting) relay.ready(1);
    relay.answer_latest(1);
    CHECK(relay.rcode(blocked) == 0);
    const std::size_t before = relay.line(0).sent.size();
    relay.ask_next();
    REQUIRE(relay.line(0).sent.size() == before + 1);
    relay.answer_latest(0);
  }
  for (int i = 0; i < 8; ++i) {  // and without any good answer between
    relay.ask("more" + std::to_string(i) + ".zone.example");
    relay.answer_latest(0, 5);
    relay.answer_latest(1);
  }
  CHECK_FALSE(contains(relay.logged(), "passed over"));
}

TEST_CASE("one domain for which an upstream is slow, where another is not, does not make it slow") {
  Hedging relay;
  for (int i = 0; i < 8; ++i) relay.ask("host" + std::to_string(i) + ".zone.example");
  relay.advance(milliseconds(20));
  relay.ready(1);
  REQUIRE(relay.line(1).sent.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) relay.answer(1, i);
  relay.advance(milliseconds(420));
  CHECK_FALSE(contains(relay.logged(), "passed over"));
}

TEST_CASE("errors on which all agree say nothing about an upstream") {
  Hedging relay(0);
  for (int i = 0; i < 20; ++i) {
    relay.ask_next();
    relay.answer_latest(0, 2);
    if (relay.line(1).state == Connection::State::connecting) relay.ready(1);
    relay.answer_latest(1, 2);
  }
  CHECK_FALSE(contains(relay.logged(), "passed over"));
}

TEST_CASE("a hedge that cannot be sent is neither counted nor paid") {
  RelayFixture relay({1, 1}, 1, 0.05);
  relay.warm_up();
  relay.advance(seconds(1));
  Health(relay.health[1]).on_trouble(Trouble::authentication, "certificate expired", 0, relay.now, relay.random);
  for (int i = 0; i < 40; ++i) {
    relay.ask("late" + std::to_string(i) + ".example");
    relay.advance(milliseconds(150));
    for (std::size_t dial = 1; dial < relay.upstreams.lines.size(); ++dial) {
      if (!relay.line(dial).gone) relay.end(dial, CloseKind::authentication, "certificate expired");
    }
    relay.answer_latest(0);
  }
  CHECK(relay.count(Counter::upstream_hedged) == 0);
  // So the budget is there when it is of use.
  Health(relay.health[1]).on_proof(Health(relay.health[1]).epoch(), relay.now);
  relay.advance(seconds(6));
  const auto lines = relay.upstreams.lines.size();
  relay.ask("www.example");
  relay.advance(milliseconds(300));
  REQUIRE(relay.upstreams.lines.size() == lines + 1);
  CHECK(relay.count(Counter::upstream_hedged) == 0);  // it waits for the connection
  relay.ready(lines);
  CHECK(relay.line(lines).sent.size() == 1);
  CHECK(relay.count(Counter::upstream_hedged) == 1);
}

}  // namespace
}  // namespace dotrelay::test
