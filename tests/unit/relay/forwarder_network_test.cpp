// What happens under the connections: idle closes that can be foreseen, sleep, and changes of the network.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// An upstream that closes after one second without use, and a client that asks at given times.
class IdleServer : public RelayFixture {
 public:
  /// Asks and is answered on whatever connection the query came.
  void ask_and_answer() {
    const auto client = ask("n" + std::to_string(asked_++) + ".example");
    if (upstreams.open() > 0 && line(upstreams.lines.size() - 1).state == Connection::State::connecting) {
      ready(upstreams.lines.size() - 1);
    }
    for (std::size_t i = upstreams.lines.size(); i-- > 0;) {
      if (line(i).gone || line(i).reserved.empty()) continue;
      answer_latest(i);
    }
    REQUIRE(answered(client));
    waited = client_waited(client);
  }

  /// Time passes and servers close what has been idle for a second; new connections come up at once.
  void pass(Duration duration) {
    for (const TimePoint until = now + duration; now < until;) {
      advance(milliseconds(10));
      for (std::size_t i = 0; i < upstreams.lines.size(); ++i) {
        Line& line = this->line(i);
        if (line.gone) continue;
        if (line.state == Connection::State::connecting) {
          ready(i);
          used_[i] = {now, 0};
        }
        if (line.gone) continue;
        if (used_[i].second != line.sent.size()) used_[i] = {now, line.sent.size()};
        if (now - used_[i].first >= seconds(1)) end(i);
      }
    }
  }

  Duration waited{};

 private:
  Duration client_waited(std::uint32_t number) { return client(number).answered_at - client(number).asked_at; }

  int asked_ = 0;
  std::map<std::size_t, std::pair<TimePoint, std::size_t>> used_;
};

TEST_CASE("a server's idle time is learned, and another connection is there before it closes") {
  IdleServer relay;
  for (int i = 0; i < 6; ++i) {
    relay.ask_and_answer();
    relay.pass(milliseconds(1050));
  }
  for (int i = 0; i < 20; ++i) {
    // The query finds a connection that is ready and will not close now.
    const std::size_t before = relay.upstreams.lines.size();
    relay.ask_and_answer();
    CHECK(relay.upstreams.lines.size() == before);
    relay.pass(milliseconds(950 + 10 * (i % 16)));
  }
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("when the questions stop, so do the connections") {
  IdleServer relay;
  for (int i = 0; i < 6; ++i) {
    relay.ask_and_answer();
    relay.pass(milliseconds(1050));
  }
  const std::size_t before = relay.upstreams.lines.size();
  relay.pass(seconds(60));
  CHECK(relay.upstreams.open() == 0);
  CHECK(relay.upstreams.lines.size() <= before + 2);
  CHECK(relay.forwarder.next_timeout(relay.now) == kNever);
}

TEST_CASE("questions that are far apart open no connection in advance") {
  IdleServer relay;
  for (int i = 0; i < 6; ++i) {
    relay.ask_and_answer();
    relay.pass(seconds(20));
  }
  CHECK(relay.upstreams.lines.size() == 6);
}

TEST_CASE("after a sleep every connection is made anew, and what waited is sent again") {
  RelayFixture relay({1, 1});
  relay.warm_up();
  relay.advance(milliseconds(100));
  relay.now += seconds(90);
  const auto client = relay.ask("www.example");
  CHECK(relay.line(0).sent.size() == 1);
  relay.advance({});
  CHECK(relay.line(0).gone);
  CHECK(relay.line(0).sent.size() == 1);
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).upstream == 0);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  CHECK(contains(relay.logged(), "the relay was asleep: 1 upstream connections dropped"));
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("a question that slept beyond its deadline fails, a younger one is sent again") {
  RelayFixture relay;
  relay.config.relay.deadline = seconds(10);
  const auto old = relay.ask("old.example");
  relay.ready(0);
  relay.advance(seconds(7));
  const auto young = relay.ask("young.example");
  relay.now += milliseconds(3500);
  relay.forwarder.on_timer(relay.now);
  CHECK(relay.rcode(old) == 2);
  CHECK(relay.line(0).gone);
  const std::size_t fresh = relay.upstreams.lines.size() - 1;
  relay.ready(fresh);
  relay.answer(fresh);
  CHECK(relay.rcode(young) == 0);
}

TEST_CASE("after a sleep a client's question ends no other client's inside accept()") {
  RelayFixture relay;
  const auto old = relay.ask("old.example");
  relay.ready(0);
  relay.now += seconds(10);
  const auto young = relay.ask("young.example");
  CHECK_FALSE(relay.answered(old));
  CHECK(relay.line(0).sent.size() == 1);
  relay.advance({});
  CHECK(relay.rcode(old) == 2);
  const std::size_t fresh = relay.upstreams.lines.size() - 1;
  relay.ready(fresh);
  relay.answer(fresh);
  CHECK(relay.rcode(young) == 0);
}

TEST_CASE("a quiet second is no sleep") {
  RelayFixture relay;
  relay.warm_up();
  relay.advance(seconds(25));
  CHECK_FALSE(relay.line(0).gone);
}

TEST_CASE("a change of the network drops the connections whose way is another now, and only those") {
  RelayFixture relay({1, 1});
  const auto one = relay.ask("one.example");
  relay.ready(0);
  relay.advance(seconds(1));
  relay.ready(1);  // asked too, after a second
  SUBCASE("both ways are as before") {
    relay.forwarder.on_network_change(relay.now);
    CHECK(relay.upstreams.open() == 2);
    CHECK_FALSE(contains(relay.logged(), "dropped"));
  }
  SUBCASE("the first has changed") {
    relay.line(0).route_changed = true;
    relay.forwarder.on_network_change(relay.now);
    CHECK(relay.line(0).gone);
    CHECK_FALSE(relay.line(1).gone);
    CHECK(contains(relay.logged(), "the network has changed: 1 upstream connections dropped"));
  }
  SUBCASE("both have changed: the query is sent again") {
    relay.line(0).route_changed = relay.line(1).route_changed = true;
    relay.forwarder.on_network_change(relay.now);
    CHECK(relay.upstreams.open() == 1);
    CHECK(relay.line(2).upstream == 0);
    relay.ready(2);
    relay.answer(2);
    CHECK(relay.rcode(one) == 0);
  }
}

TEST_CASE("when the network comes back, what waits for its back-off is dialled at once") {
  RelayFixture relay({1, 1});
  relay.ask("www.example");
  relay.end(0, CloseKind::no_route, "network is unreachable");
  relay.ready(1);
  relay.answer(1);
  for (int i = 0; i < 8; ++i) {
    relay.advance(seconds(6));
    relay.ask("n" + std::to_string(i) + ".example");
    relay.answer_latest(1);
    const std::size_t last = relay.upstreams.lines.size() - 1;
    if (!relay.line(last).gone && relay.line(last).upstream == 0) {
      relay.end(last, CloseKind::timed_out, "connection timed out");
    }
  }
  const std::size_t before = relay.upstreams.dials(0);
  relay.ask("still.example");
  CHECK(relay.upstreams.dials(0) == before);
  // Events about other ways (containers that start) change nothing.
  for (int i = 0; i < 100; ++i) relay.forwarder.on_network_change(relay.now);
  relay.ask("other-ways.example");
  CHECK(relay.upstreams.dials(0) == before);
  relay.upstreams.ways[0] = 2;
  relay.forwarder.on_network_change(relay.now);
  relay.ask("changed.example");
  CHECK(relay.upstreams.dials(0) == before + 1);
}

TEST_CASE("two workers: what one finds out, the other knows without a dial of its own") {
  RelayFixture relay({1, 1});
  FakeUpstreams others;
  Random chance(2);
  std::vector<SharedWord> memory_words(1);
  MemoryBudget memory(memory_words, 0, 64);
  Forwarder other({relay.config, others, relay.counters, memory, relay.log, chance}, relay.health);
  relay.ask("www.example");
  relay.refuse(0);
  MessageBuilder query(1, 0x0100);
  query.question("other.example", 1);
  const Octets message = query.build();
  CHECK(other
            .accept({.message = message, .source = {}, .transport = {}, .channel = &relay.channel, .client = {99, 0}},
                    relay.now)
            .kind == Accepted::Kind::waiting);
  REQUIRE(others.lines.size() == 1);
  CHECK(others.lines[0].upstream == 1);
}

TEST_CASE("of several workers one tries what a change of the network may have mended") {
  RelayFixture relay({1, 1});
  FakeUpstreams others;
  Random chance(2);
  Forwarder other({relay.config, others, relay.counters, relay.memory, relay.log, chance}, relay.health);
  relay.ask("www.example");
  relay.end(0, CloseKind::timed_out, "connection timed out");
  relay.ready(1);
  relay.answer(1);
  const Health health(relay.health[0]);
  CHECK_FALSE(health.trial_due(relay.now));
  relay.upstreams.ways[0] = others.ways[0] = 2;
  relay.forwarder.on_network_change(relay.now);
  CHECK(health.trial_due(relay.now));
  relay.ask("trial.example");
  CHECK(relay.upstreams.dials(0) == 2);
  other.on_network_change(relay.now);
  CHECK_FALSE(health.trial_due(relay.now));
}

TEST_CASE("the clock is set: a certificate that was refused is tried again at once") {
  RelayFixture relay;
  relay.ask("www.example");
  for (int i = 0; i < 4; ++i) {
    const std::size_t last = relay.upstreams.lines.size() - 1;
    if (!relay.line(last).gone) relay.end(last, CloseKind::authentication, "certificate not yet valid");
    relay.advance(seconds(2));
    relay.ask("n" + std::to_string(i) + ".example");
  }
  const std::size_t last = relay.upstreams.lines.size() - 1;
  if (!relay.line(last).gone) relay.end(last, CloseKind::authentication, "certificate not yet valid");
  const std::size_t before = relay.upstreams.lines.size();
  relay.advance(milliseconds(100));
  REQUIRE(relay.upstreams.lines.size() == before);
  relay.forwarder.on_clock_set(relay.now);
  REQUIRE(relay.upstreams.lines.size() == before + 1);
  relay.ready(before);
  const auto client = relay.ask("served.example");
  relay.answer_latest(before);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("the clock is set: other troubles keep their back-off") {
  RelayFixture relay({1, 1});
  relay.ask("www.example");
  relay.refuse(0);
  relay.forwarder.on_clock_set(relay.now);
  CHECK(relay.upstreams.dials(0) == 1);
}

}  // namespace
}  // namespace dotrelay::test
