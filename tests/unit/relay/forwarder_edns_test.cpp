// Upstreams that do not understand EDNS: asked once more without, and that is remembered.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr unsigned kFormerr = 1, kNotimp = 4, kRefused = 5;

bool has_opt(const SentQuery& query) { return query.message.at(11) == 1; }

TEST_CASE("FORMERR or NOTIMP without an OPT: the same upstream is asked once more, without") {
  for (const unsigned rcode : {kFormerr, kNotimp}) {
    for (const bool header_alone : {false, true}) {
      CAPTURE(rcode);
      CAPTURE(header_alone);
      RelayFixture relay({1, 1});
      const auto client = relay.ask("www.example", {.dnssec_ok = true});
      relay.ready(0);
      const SentQuery first = relay.line(0).sent.at(0);
      CHECK(has_opt(first));
      relay.receive(0, header_alone ? header_only(first, rcode) : answer_to(first, rcode));
      REQUIRE(relay.line(0).sent.size() == 2);
      const SentQuery second = relay.line(0).sent[1];
      CHECK_FALSE(has_opt(second));
      CHECK(second.message.size() == 12 + second.question().size());
      CHECK(second.question() == first.question());
      relay.answer(0, 1);
      CHECK(relay.rcode(client) == 0);
      CHECK(contains(relay.got(client), "opt 1232 do"));
      CHECK(relay.upstreams.lines.size() == 1);
      CHECK(relay.count(Counter::upstream_without_edns) == 1);
      CHECK(relay.count(Counter::upstream_errors) == 0);
      CHECK(contains(relay.logged(), "up1 (192.0.2.1:853): does not understand EDNS"));

      // For an hour.
      relay.ask("second.example");
      REQUIRE(relay.line(0).sent.size() == 3);
      CHECK_FALSE(has_opt(relay.line(0).sent[2]));
      relay.answer(0, 2);
      relay.advance(std::chrono::minutes(61));
      relay.ask("third.example");
      relay.ready(1);
      CHECK(has_opt(relay.line(1).sent.at(0)));
    }
  }
}

TEST_CASE("other errors, and those of a server that knows EDNS, send the query to the next upstream") {
  RelayFixture relay({1, 1});
  relay.ask("www.example");
  relay.ready(0);
  const SentQuery query = relay.line(0).sent.at(0);
  SUBCASE("FORMERR with an OPT") { relay.receive(0, answer_to(query, kFormerr, 0, opt_record(), 1)); }
  SUBCASE("BADVERS") { relay.receive(0, answer_to(query, 0, 0, opt_record({.extended_rcode = 1}), 1)); }
  SUBCASE("REFUSED") { relay.receive(0, answer_to(query, kRefused)); }
  CHECK(relay.line(0).sent.size() == 1);
  CHECK(relay.upstreams.lines.size() == 2);
}

TEST_CASE("a query that is also refused without EDNS says nothing about EDNS") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.answer(0, 0, kFormerr);
  relay.answer(0, 1, kFormerr);
  CHECK(relay.line(0).sent.size() == 2);
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  CHECK(has_opt(relay.line(1).sent.at(0)));
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  relay.ask("second.example");
  CHECK(has_opt(relay.line(0).sent.at(2)));
}

TEST_CASE("options of the client may be the reason: nothing is remembered") {
  RelayFixture relay;
  const auto client = relay.ask("www.example", {.options = edns_option(3)});
  relay.ready(0);
  relay.answer(0, 0, kFormerr);
  relay.answer(0, 1);
  CHECK(relay.rcode(client) == 0);
  relay.ask("second.example");
  CHECK(has_opt(relay.line(0).sent.at(2)));
}

TEST_CASE("a connection that has ended meanwhile is not asked again") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.line(0).inbox.push_back(answer_to(relay.line(0).sent.at(0), kFormerr));
  relay.end(0);
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("each upstream is asked without EDNS by itself") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.answer(0, 0, kFormerr);
  relay.answer(0, 1, kRefused);
  relay.ready(1);
  CHECK(has_opt(relay.line(1).sent.at(0)));
  relay.answer(1, 0, kNotimp);
  REQUIRE(relay.line(1).sent.size() == 2);
  CHECK_FALSE(has_opt(relay.line(1).sent[1]));
  relay.answer(1, 1);
  CHECK(relay.rcode(client) == 0);
}

}  // namespace
}  // namespace dotrelay::test
