// When connections end, fail or come slowly: another connection, the next upstream, recovery and the way back.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr std::string_view kNoError = "question www.example. A IN";

TEST_CASE("a connection that closes under a query is followed by a fresh one to the same upstream") {
  RelayFixture relay({1, 1});
  relay.warm_up();
  const auto client = relay.ask("www.example");
  relay.end(0);
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).upstream == 0);
  relay.ready(1);
  relay.answer(1);
  CHECK(contains(relay.got(client), kNoError));
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("a connection that has answered ends as by a close, whatever ends it") {
  for (const CloseKind kind : {CloseKind::closed_by_peer, CloseKind::tls, CloseKind::timed_out}) {
    RelayFixture relay({1, 1});
    relay.warm_up();
    const auto owed = relay.ask("second.example");
    relay.end(0, kind, "TLS failed: unexpected message");
    // To the same upstream, at once, and nobody hears of it.
    REQUIRE(relay.upstreams.lines.size() == 2);
    CHECK(relay.line(1).upstream == 0);
    CHECK_FALSE(relay.health[0].verdict.load());
    relay.ready(1);
    relay.answer(1);
    CHECK(relay.rcode(owed) == 0);
    CHECK_FALSE(contains(relay.logged(), "passed over"));
  }
}

TEST_CASE("an idle connection that has answered ends without a word, too") {
  for (const CloseKind kind : {CloseKind::closed_by_peer, CloseKind::tls, CloseKind::timed_out}) {
    RelayFixture relay;
    relay.warm_up();
    relay.advance(milliseconds(300));
    relay.end(0, kind, "TLS failed: unexpected message");
    CHECK_FALSE(relay.health[0].verdict.load());
    CHECK_FALSE(contains(relay.logged(), "passed over"));
  }
}

TEST_CASE("a session that fails before its first answer is trouble") {
  RelayFixture relay({1, 1});
  relay.ask("first.example");
  relay.ready(0);
  relay.end(0, CloseKind::tls, "TLS failed: unexpected message");
  CHECK(contains(relay.logged(), "TLS failed: unexpected message; it is passed over"));
}

TEST_CASE("an upstream that answers one query and then breaks the session serves all in turn, each a bounded time") {
  RelayFixture relay;
  std::vector<std::uint32_t> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(relay.ask("www" + std::to_string(i) + ".example"));
  for (std::size_t i = 0; i < 10; ++i) {
    relay.ready(i);
    CHECK(relay.line(i).sent.size() == 10 - i);
    relay.answer(i);
    relay.end(i, CloseKind::tls, "TLS failed: unexpected message");
    CHECK(relay.upstreams.lines.size() == std::min<std::size_t>(i + 2, 10));
  }
  for (const auto client : clients) CHECK(relay.rcode(client) == 0);
}

TEST_CASE("after one stale connection a query does not trust another of the same age") {
  RelayFixture relay({1, 1});
  for (int i = 0; i < 257; ++i) relay.ask("n" + std::to_string(i) + ".example");
  relay.ready(0);
  relay.ready(1);
  for (std::size_t i = 0; i < 257; ++i) relay.answer(0, i);
  relay.advance(milliseconds(1));
  const auto client = relay.ask("www.example");
  REQUIRE(relay.line(0).sent.size() == 258);
  relay.end(0);
  CHECK(relay.line(1).sent.empty());
  REQUIRE(relay.upstreams.lines.size() == 3);
  relay.ready(2);
  relay.answer(2);
  CHECK(contains(relay.got(client), kNoError));
}

TEST_CASE("a second connection that closes under the query sends it to the next upstream") {
  RelayFixture relay({1, 1});
  relay.warm_up();
  const auto client = relay.ask("www.example");
  relay.end(0);
  relay.ready(1);
  relay.end(1);
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(2).upstream == 1);
  relay.ready(2);
  relay.answer(2);
  CHECK(contains(relay.got(client), kNoError));
}

TEST_CASE("an upstream that closes on every query is asked eight times at most") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  for (std::size_t i = 0; i < 20 && !relay.answered(client); ++i) {
    while (relay.upstreams.lines.size() <= i && !relay.answered(client)) relay.advance(milliseconds(50));
    if (relay.answered(client)) break;
    relay.ready(i);
    if (!relay.line(i).sent.empty()) relay.end(i);
  }
  CHECK(relay.count(Counter::upstream_queries) == 8);
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): connection closed before the answer");
}

TEST_CASE("the first upstream refuses at the start: the next one answers, at once") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.refuse(0);
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  CHECK(contains(relay.got(client), kNoError));
  CHECK(contains(relay.logged(), "warning worker 1: upstream up1 (192.0.2.1:853): connection refused"));
  CHECK(relay.count(Counter::upstream_dial_failures) == 1);
}

TEST_CASE("a dial that takes 150 ms makes queries look at the next upstream, and either may win") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.advance(milliseconds(149));
  CHECK(relay.upstreams.lines.size() == 1);
  relay.advance(milliseconds(1));
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).upstream == 1);
  SUBCASE("the second") {
    relay.ready(1);
    relay.answer(1);
  }
  SUBCASE("the first after all") {
    relay.ready(0);
    relay.answer(0);
  }
  CHECK(contains(relay.got(client), kNoError));
}

TEST_CASE("the other address of the same upstream comes before the next upstream") {
  RelayFixture relay({2, 1});
  const auto client = relay.ask("www.example");
  SUBCASE("when the first refuses") { relay.refuse(0); }
  SUBCASE("when the first is slow") { relay.advance(milliseconds(150)); }
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).upstream == 0);
  CHECK(relay.line(1).address == 1);
  relay.ready(1);
  relay.answer(1);
  CHECK(contains(relay.got(client), kNoError));
}

TEST_CASE("a dial is given up after 3.2 s") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.advance(milliseconds(3199));
  CHECK_FALSE(relay.line(0).gone);
  relay.advance(milliseconds(1));
  CHECK(relay.line(0).gone);
  CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): connection timed out"));
}

TEST_CASE("all upstreams down: SERVFAIL at the deadline with the cause of each in failover order") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.refuse(0);
  for (int i = 0; i < 79; ++i) {
    for (std::size_t j = 0; j < relay.upstreams.lines.size(); ++j) {
      if (relay.line(j).gone || relay.line(j).upstream == 1) continue;
      relay.refuse(j);
    }
    relay.advance(milliseconds(50));
  }
  CHECK_FALSE(relay.answered(client));
  relay.advance(milliseconds(50));
  CHECK(relay.client(client).answered_at == relay.client(client).asked_at + seconds(4));
  CHECK(relay.rcode(client) == 2);
  CHECK(relay.explanation(client) ==
        "22 up1 (192.0.2.1:853): connection refused; up2 (192.0.2.2:853): connection timed out");
  CHECK(relay.count(Counter::failed) == 1);
  CHECK(
      contains(relay.logged(), "error   worker 1: no upstream is usable, clients get SERVFAIL: up1 (192.0.2.1:853): "));
}

TEST_CASE("while nothing is usable each upstream is dialled every 200 ms, and recovery answers at once") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.refuse_all();
  for (int i = 0; i < 20; ++i) {
    relay.advance(milliseconds(50));
    relay.refuse_all();
  }
  CHECK(relay.upstreams.dials(0) == 6);  // one at first, then each 200 ms of this second
  CHECK(relay.upstreams.dials(1) == 6);
  const std::size_t refused = relay.upstreams.lines.size();
  relay.advance(milliseconds(200));
  const std::size_t last = relay.upstreams.lines.size() - 1;
  REQUIRE(last >= refused);
  relay.ready(last);
  relay.answer(last);
  CHECK(contains(relay.got(client), kNoError));
  CHECK(contains(relay.logged(), ": ready, fake"));
}

TEST_CASE("outage and recovery are said once each") {
  RelayFixture relay;
  for (int i = 0; i < 3; ++i) relay.ask("n" + std::to_string(i) + ".example");
  std::size_t refused = 0;
  for (int i = 0; i < 100; ++i) {
    for (; refused < relay.upstreams.lines.size(); ++refused) relay.refuse(refused);
    relay.advance(milliseconds(50));
  }
  const auto client = relay.ask("www.example");
  relay.advance(milliseconds(250));
  for (; refused + 1 < relay.upstreams.lines.size(); ++refused) relay.refuse(refused);
  relay.ready(refused);
  relay.answer(refused);
  CHECK(contains(relay.got(client), kNoError));
  const std::string log = relay.logged();
  for (const char* once :
       {"no upstream is usable, clients get SERVFAIL", "queries are answered again", "connection refused; it is"}) {
    CAPTURE(once);
    CHECK(log.find(once) != std::string::npos);
    CHECK(log.find(once) == log.rfind(once));
  }
}

TEST_CASE("nothing is dialled when nobody waits") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.refuse(0);
  relay.advance(seconds(4));
  relay.refuse_all();
  const std::size_t dials = relay.upstreams.lines.size();
  relay.advance(seconds(60));
  CHECK(relay.upstreams.lines.size() == dials);
  CHECK(relay.forwarder.next_timeout(relay.now) == kNever);
}

TEST_CASE("the first upstream takes over again when a trial beside a query finds it well") {
  RelayFixture relay({1, 1});
  relay.warm_up_second();
  relay.advance(milliseconds(300));
  const auto during = relay.ask("second.example");  // goes to the second, and tries the first
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(2).upstream == 0);
  relay.answer(1, 1);
  CHECK(relay.rcode(during) == 0);
  relay.ready(2);
  const auto client = relay.ask("www.example");
  relay.answer(2);
  CHECK(contains(relay.got(client), kNoError));
}

TEST_CASE("trials beside traffic back off to one in five seconds or so") {
  RelayFixture relay({1, 1});
  relay.warm_up_second();
  std::size_t asked = 1;
  for (int i = 0; i < 600; ++i) {
    relay.advance(milliseconds(100));
    relay.ask("n" + std::to_string(i) + ".example");
    relay.refuse_all();
    relay.answer(1, asked++);
  }
  CHECK(relay.upstreams.dials(0) >= 12);  // 0.2, 0.4, 0.8, 1.6, 3.2 s, then each 3.75 to 6.25 s of a minute
  CHECK(relay.upstreams.dials(0) <= 22);
}

TEST_CASE("a wrong certificate: answered at once with the cause, and tried seldom") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.end(0, CloseKind::authentication, "certificate expired");
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): certificate expired");
  CHECK(relay.count(Counter::upstream_authentication_failures) == 1);
  CHECK(contains(relay.logged(),
                 "error   worker 1: upstream up1 (192.0.2.1:853): certificate expired; no query is sent"));
  const auto second = relay.ask("second.example");
  CHECK(relay.explanation(second) == "22 up1 (192.0.2.1:853): certificate expired");
  CHECK(relay.upstreams.lines.size() == 1);
  relay.advance(milliseconds(1300));
  const auto third = relay.ask("third.example");
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(third) == 0);
}

TEST_CASE("no route: answered at once, and tried each 200 ms or so with a query") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.end(0, CloseKind::no_route, "network is unreachable");
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): network is unreachable");
  for (std::size_t i = 1; i <= 5; ++i) {
    relay.advance(milliseconds(250));
    relay.ask("n" + std::to_string(i) + ".example");
    relay.end(i, CloseKind::no_route, "network is unreachable");
  }
  CHECK(relay.upstreams.lines.size() == 6);
  relay.advance(milliseconds(250));
  const auto last = relay.ask("last.example");
  relay.ready(6);
  relay.answer(6);
  CHECK(relay.rcode(last) == 0);
}

TEST_CASE("one upstream that may come back is worth waiting for beside one that is hopeless") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.end(0, CloseKind::authentication, "certificate expired");
  relay.refuse(1);
  CHECK_FALSE(relay.answered(client));
  relay.advance(milliseconds(200));
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(2).upstream == 1);
  relay.ready(2);
  relay.answer(2);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("no query is ever sent to an upstream that is not ready") {
  RelayFixture relay({1, 1});
  relay.ask("www.example");
  relay.end(0, CloseKind::tls, "handshake failed");
  relay.end(1, CloseKind::timed_out, "connection timed out");
  relay.advance(seconds(10));
  for (const Line& line : relay.upstreams.lines) CHECK(line.sent.empty());
}

}  // namespace
}  // namespace dotrelay::test
