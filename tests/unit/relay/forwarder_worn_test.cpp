// Connections that have given up too many queries: they are replaced, seldom, and serve until they owe nothing.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// An upstream that answers at once, except for names that begin with 'u'.
class Resolver {
 public:
  explicit Resolver(RelayFixture& relay) : relay_(relay) {}

  /// On the first `most` connections.
  void serve(std::size_t most = 1000) {
    for (std::size_t i = 0; i < std::min(most, relay_.upstreams.lines.size()); ++i) {
      Line& line = relay_.line(i);
      if (!line.gone && line.state == Connection::State::connecting) relay_.ready(i);
      answered_.resize(std::max(answered_.size(), i + 1));
      for (; !line.gone && answered_[i] < line.sent.size(); ++answered_[i]) {
        const SentQuery query = line.sent[answered_[i]];
        if (query.question().at(1) != 'u') relay_.receive(i, answer_to(query));
      }
    }
  }

 private:
  RelayFixture& relay_;
  std::vector<std::size_t> answered_;
};

/// Lets names that nobody answers take IDs of the first connection, which stays in use until the deadline of their
/// clients is near. Each is sent twice, so the IDs are kMaxAbandoned when it has passed.
void wear_out(RelayFixture& relay, Resolver& resolver) {
  for (std::size_t i = 0; i < PendingQueries::kMaxAbandoned / 2; ++i) {
    relay.ask("u" + std::to_string(i) + ".example", {.source = static_cast<unsigned>(i)});
  }
  for (int i = 0; i < 39; ++i) {
    relay.ask("warm.example");
    resolver.serve(1);
    relay.advance(milliseconds(100));
  }
}

TEST_CASE("one client asks 300 unanswerable names a second: few handshakes, and others are answered") {
  RelayFixture relay;
  Resolver resolver(relay);
  std::vector<std::uint32_t> innocents;
  std::vector<std::uint32_t> asked;
  for (int tenth = 0; tenth < 150; ++tenth) {
    for (int i = 0; i < 30; ++i) {
      asked.push_back(relay.ask("u" + std::to_string(tenth * 30 + i) + ".example", {.source = 2}));
    }
    innocents.push_back(relay.ask("n" + std::to_string(tenth) + ".example"));
    for (int i = 0; i < 10; ++i) {
      resolver.serve();
      relay.advance(milliseconds(10));
    }
  }
  CHECK(relay.upstreams.lines.size() < 10);
  CHECK_FALSE(contains(relay.logged(), "no upstream is usable"));
  for (const std::uint32_t client : innocents) {
    REQUIRE(relay.answered(client));
    CHECK(relay.rcode(client) == 0);
    CHECK(relay.client(client).answered_at - relay.client(client).asked_at <= milliseconds(20));
  }
  const auto refused = [&](std::uint32_t client) {
    return relay.answered(client) && relay.explanation(client) == "0 too many unanswered queries from this address";
  };
  CHECK(std::ranges::any_of(asked, refused));
  relay.advance(seconds(10));
  resolver.serve();
  CHECK(relay.count(Counter::upstream_retired) > 0);
  const auto after = relay.ask("afterwards.example", {.source = 2});
  resolver.serve();
  CHECK(relay.rcode(after) == 0);
}

TEST_CASE("thirty clients with unanswerable names together: no livelock either") {
  RelayFixture relay;
  Resolver resolver(relay);
  for (int tenth = 0; tenth < 150; ++tenth) {
    for (unsigned i = 0; i < 30; ++i) {
      relay.ask("u" + std::to_string(tenth * 30 + static_cast<int>(i)) + ".example", {.source = 2 + i});
    }
    const auto innocent = relay.ask("n" + std::to_string(tenth) + ".example");
    for (int i = 0; i < 10; ++i) {
      resolver.serve();
      relay.advance(milliseconds(10));
    }
    REQUIRE(relay.answered(innocent));
    CHECK(relay.rcode(innocent) == 0);
    CHECK(relay.upstreams.open() <= UpstreamSet::kMaxConnections + UpstreamSet::kMaxWorn);
  }
  CHECK(relay.upstreams.lines.size() < 40);
  CHECK_FALSE(contains(relay.logged(), "no upstream is usable"));
}

TEST_CASE("beside a worn connection a server that refuses another one is not dialled over and over") {
  RelayFixture relay;
  Resolver resolver(relay);
  wear_out(relay, resolver);
  relay.ask("late.example");
  relay.advance(milliseconds(200));
  const std::size_t before = relay.upstreams.lines.size();
  for (int i = 0; i < 50; ++i) {
    relay.ask("n" + std::to_string(i) + ".example");
    for (std::size_t dial = before; dial < relay.upstreams.lines.size(); ++dial) {
      if (!relay.line(dial).gone) relay.refuse(dial);
    }
    relay.advance(milliseconds(20));
  }
  CHECK(relay.upstreams.lines.size() - before <= 7);  // in a second
}

TEST_CASE("a worn connection is not closed while a client waits for its answer, and takes no more") {
  RelayFixture relay;
  Resolver resolver(relay);
  wear_out(relay, resolver);
  const auto waiting = relay.ask("late.example");
  REQUIRE(relay.line(0).sent.back().question().at(1) == 'l');
  relay.advance(milliseconds(200));
  CHECK_FALSE(relay.line(0).gone);
  const auto dials = relay.upstreams.lines.size();
  const auto next = relay.ask("next.example");
  CHECK(relay.upstreams.lines.size() == dials + 1);
  relay.ready(dials);
  CHECK(relay.line(dials).sent.size() == 1);
  CHECK_FALSE(relay.line(0).gone);
  resolver.serve(1);
  CHECK(relay.rcode(waiting) == 0);
  CHECK(relay.line(0).gone);
  CHECK(relay.count(Counter::upstream_retired) == 1);
  relay.answer(dials);
  CHECK(relay.rcode(next) == 0);
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

}  // namespace
}  // namespace dotrelay::test
