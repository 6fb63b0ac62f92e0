// One connection and its queries: a dial that all share, pipelining, IDs of its own, answers in any order, and what an
// upstream may not do.
#include "relay_fixture.hpp"

#include <set>

namespace dotrelay::test {
namespace {

TEST_CASE("the first question dials, further ones wait for the same connection") {
  RelayFixture relay;
  CHECK(relay.upstreams.lines.empty());  // nothing is opened before somebody asks
  const auto first = relay.ask("one.example");
  const auto second = relay.ask("two.example");
  CHECK(relay.upstreams.lines.size() == 1);
  CHECK(relay.line(0).sent.empty());
  relay.ready(0);
  REQUIRE(relay.line(0).sent.size() == 2);
  relay.answer(0, 1);
  CHECK(relay.got(second) == "1234 response rd ra NOERROR\nquestion two.example. A IN\nopt 1232\n");
  CHECK_FALSE(relay.answered(first));
  relay.answer(0, 0);
  CHECK(relay.got(first) == "1234 response rd ra NOERROR\nquestion one.example. A IN\nopt 1232\n");
  CHECK(relay.forwarder.idle());
  CHECK(relay.count(Counter::upstream_dials) == 1);
  CHECK(relay.count(Counter::upstream_queries) == 2);
  CHECK(relay.count(Counter::upstream_answers) == 2);
  CHECK(relay.count(Counter::answers) == 2);
}

TEST_CASE("IDs upstream are the connection's own and differ") {
  RelayFixture relay;
  relay.ask("first.example");
  relay.ready(0);
  for (int i = 0; i < 200; ++i) relay.ask("n" + std::to_string(i) + ".example", {.id = 7});
  std::set<std::uint16_t> ids;
  for (const SentQuery& query : relay.line(0).sent) ids.insert(query.id());
  CHECK(ids.size() == 201);
}

TEST_CASE("each client gets its own ID, spelling and transport's answer") {
  RelayFixture relay;
  const auto mixed = relay.ask("WwW.eXample", {.id = 0xaaaa});
  const auto lower = relay.ask("www.example", {.id = 0xbbbb, .edns = false});
  relay.ready(0);
  REQUIRE(relay.line(0).sent.size() == 1);
  relay.answer(0);
  CHECK(relay.got(mixed) == "aaaa response rd ra NOERROR\nquestion WwW.eXample. A IN\nopt 1232\n");
  CHECK(relay.got(lower) == "bbbb response rd ra NOERROR\nquestion www.example. A IN\n");
}

TEST_CASE("an error also repeats each client's own spelling") {
  RelayFixture relay;
  const auto mixed = relay.ask("WwW.eXample", {.id = 0xaaaa, .edns = false});
  const auto upper = relay.ask("WWW.EXAMPLE", {.id = 0xbbbb, .edns = false});
  SUBCASE("an upstream's") {
    relay.ready(0);
    relay.answer(0, 0, static_cast<unsigned>(dns::Rcode::refused));
  }
  SUBCASE("the relay's own") {}
  relay.advance(seconds(30));
  CHECK(contains(relay.got(mixed), "question WwW.eXample. A IN"));
  CHECK(contains(relay.got(upper), "question WWW.EXAMPLE. A IN"));
}

TEST_CASE("an answer with another letter case than the query's matches") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  Octets message = answer_to(relay.line(0).sent[0]);
  message[13] = 'W';
  relay.receive(0, message);
  CHECK(contains(relay.got(client), "question www.example. A IN"));
}

TEST_CASE("what does not match is dropped, and the query keeps waiting") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  const SentQuery query = relay.line(0).sent[0];
  Octets wrong = answer_to(query);
  SUBCASE("another ID") { wrong[1] ^= 1; }
  SUBCASE("another name") { wrong[13] = 'x'; }
  SUBCASE("another type") { wrong[wrong.size() - 3] = 28; }
  SUBCASE("another class") { wrong[wrong.size() - 1] = 3; }
  SUBCASE("no octets") { wrong.clear(); }
  SUBCASE("less than ID and flags") { wrong.resize(3); }
  relay.receive(0, wrong);
  CHECK_FALSE(relay.answered(client));
  CHECK(relay.count(Counter::upstream_mismatched) == 1);
  CHECK_FALSE(relay.line(0).gone);
  relay.answer(0);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("the eighth frame that matches nothing closes the connection, and the query goes on") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  for (int i = 0; i < 7; ++i) relay.receive(0, {});
  CHECK_FALSE(relay.line(0).gone);
  relay.receive(0, {});
  CHECK(relay.line(0).gone);
  REQUIRE(relay.upstreams.lines.size() == 2);
  CHECK(relay.line(1).upstream == 1);  // an upstream that talks nonsense is passed over
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): answers that match no query"));
}

TEST_CASE("messages behind the one that closes the connection are not read") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.ready(0);
  for (int i = 0; i < 20; ++i) relay.line(0).inbox.emplace_back();
  relay.notify(relay.line(0));
  CHECK(relay.line(0).gone);
  CHECK(relay.count(Counter::upstream_mismatched) == 8);
}

TEST_CASE("an answer counts once: its repetition matches nothing") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.answer(0);
  relay.answer(0);
  CHECK(relay.client(client).answers.size() == 1);
  CHECK(relay.count(Counter::upstream_mismatched) == 1);
}

TEST_CASE("answers that arrived before the end are used") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.line(0).inbox.push_back(answer_to(relay.line(0).sent[0]));
  relay.end(0);
  CHECK(relay.rcode(client) == 0);
  CHECK(relay.upstreams.lines.size() == 1);
}

TEST_CASE("a late answer is counted, is nobody's, and frees its ID") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(4));
  CHECK(relay.rcode(client) == 2);
  relay.answer(0);
  CHECK(relay.count(Counter::upstream_late) == 1);
  CHECK(relay.client(client).answers.size() == 1);
  relay.answer(0);
  CHECK(relay.count(Counter::upstream_mismatched) == 1);
}

TEST_CASE("a late answer must match the question that the ID is reserved for") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(4));
  Octets wrong = answer_to(relay.line(0).sent[0]);
  wrong[13] = 'x';
  relay.receive(0, wrong);
  CHECK(relay.count(Counter::upstream_late) == 0);
  CHECK(relay.count(Counter::upstream_mismatched) == 1);
}

TEST_CASE("the IDs of queries that were given up are not drawn again, and 256 of them retire the connection") {
  RelayFixture relay;
  relay.warm_up();
  for (int i = 0; i < 256; ++i) relay.ask("n" + std::to_string(i) + ".example");
  relay.advance(seconds(5));
  std::set<std::uint16_t> ids;
  std::size_t sent = 0;
  for (const SentQuery& query : relay.line(0).sent) {
    if (sent++ > 0) ids.insert(query.id());
  }
  CHECK(ids.size() == 256);
  CHECK(relay.line(0).gone);  // nothing lives on it any more
  const std::size_t before = relay.upstreams.lines.size();
  const auto client = relay.ask("last.example");
  REQUIRE(relay.upstreams.lines.size() == before + 1);
  relay.ready(before);
  relay.answer(before);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("a connection that nobody uses is closed, which is no failure") {
  RelayFixture relay;
  relay.warm_up();
  relay.advance(milliseconds(29'999));
  CHECK_FALSE(relay.line(0).gone);
  relay.advance(milliseconds(1));
  CHECK(relay.line(0).gone);
  CHECK(relay.forwarder.next_timeout(relay.now) == kNever);
  CHECK_FALSE(contains(relay.logged(), "warning"));
}

TEST_CASE("use begins the idle time anew") {
  RelayFixture relay;
  relay.warm_up();
  relay.advance(seconds(20));
  relay.ask("www.example");
  relay.answer(0, 1);
  relay.advance(seconds(29));
  CHECK_FALSE(relay.line(0).gone);
}

TEST_CASE("a loaded connection gets a companion, and queries stay on the first while it is comfortable") {
  RelayFixture relay;
  relay.ask("first.example");
  relay.ready(0);
  for (int i = 0; i < 255; ++i) relay.ask("n" + std::to_string(i) + ".example");
  CHECK(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.ask("second.example");
  CHECK(relay.line(1).sent.size() == 1);
  for (std::size_t i = 0; i < 10; ++i) relay.answer(0, i);
  relay.ask("third.example");
  CHECK(relay.line(0).sent.size() == 257);
}

TEST_CASE("there are at most four connections to one upstream") {
  RelayFixture relay;
  relay.ask("first.example");
  relay.ready(0);
  for (int i = 0; i < 3000; ++i) {
    relay.ask("n" + std::to_string(i) + ".example");
    for (std::size_t j = 0; j < relay.upstreams.lines.size(); ++j) {
      if (relay.line(j).state == Connection::State::connecting) relay.ready(j);
    }
  }
  CHECK(relay.upstreams.lines.size() == 4);
  for (std::size_t j = 0; j < 4; ++j) CHECK(relay.line(j).sent.size() >= 740);
}

}  // namespace
}  // namespace dotrelay::test
