// Which answers are final, which make the relay ask the next upstream, and what the client gets in the end.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr unsigned kServfail = 2, kNxdomain = 3, kNotimp = 4, kRefused = 5;

/// The upstream answers each query of the line with `message_of(query)`: also the one that it is asked once more
/// without EDNS.
template <class MessageOf>
void answer_each(RelayFixture& relay, std::size_t line, MessageOf&& message_of) {
  for (std::size_t i = 0; i < relay.line(line).sent.size(); ++i)
    relay.receive(line, message_of(relay.line(line).sent[i]));
}

/// Asks, and lets the first upstream answer `message_of(query)`.
template <class MessageOf>
std::uint32_t ask_and_answer(RelayFixture& relay, MessageOf&& message_of) {
  const auto client = relay.ask("www.example");
  relay.ready(0);
  answer_each(relay, 0, message_of);
  return client;
}

TEST_CASE("NOERROR and NXDOMAIN are answers, and so are RCODEs that say something about the question") {
  for (const unsigned rcode : {0U, kNxdomain, 6U, 9U, 11U}) {
    CAPTURE(rcode);
    RelayFixture relay({1, 1});
    const auto client = ask_and_answer(relay, [&](const SentQuery& query) { return answer_to(query, rcode); });
    CHECK(relay.rcode(client) == rcode);
    CHECK(relay.upstreams.lines.size() == 1);
    CHECK(relay.count(Counter::upstream_errors) == 0);
  }
}

TEST_CASE("SERVFAIL, REFUSED, FORMERR and NOTIMP make the relay ask the next upstream once") {
  for (const unsigned rcode : {1U, kServfail, kNotimp, kRefused}) {
    CAPTURE(rcode);
    RelayFixture relay({1, 1, 1});
    const auto client = ask_and_answer(relay, [&](const SentQuery& query) { return answer_to(query, rcode); });
    CHECK_FALSE(relay.answered(client));
    REQUIRE(relay.upstreams.lines.size() == 2);
    CHECK(relay.line(1).upstream == 1);
    relay.ready(1);
    SUBCASE("which knows better") {
      relay.answer(1);
      CHECK(relay.rcode(client) == 0);
    }
    SUBCASE("which says the same") {
      answer_each(relay, 1, [&](const SentQuery& query) { return answer_to(query, rcode); });
      CHECK(relay.rcode(client) == rcode);
      CHECK(relay.upstreams.dials(2) == 0);
      CHECK(relay.count(Counter::failed) == 0);
    }
  }
}

TEST_CASE("with one upstream its error is the answer, as it came") {
  RelayFixture relay;
  const auto client =
      ask_and_answer(relay, [](const SentQuery& query) { return answer_to(query, kServfail, 0, error_opt(22), 1); });
  CHECK(relay.got(client) == "1234 response rd ra SERVFAIL\nquestion www.example. A IN\nopt 1232\noption 15 0016\n");
}

TEST_CASE("SERVFAIL that DNSSEC explains is final") {
  for (const unsigned code : {1U, 2U, 5U, 6U, 7U, 8U, 9U, 10U, 11U, 12U}) {
    CAPTURE(code);
    RelayFixture relay({1, 1});
    const auto client = ask_and_answer(
        relay, [&](const SentQuery& query) { return answer_to(query, kServfail, 0, error_opt(code), 1); });
    CHECK(relay.rcode(client) == kServfail);
    CHECK(relay.upstreams.lines.size() == 1);
  }
}

TEST_CASE("SERVFAIL with another explanation is not") {
  for (const unsigned code : {0U, 3U, 4U, 13U, 14U, 19U, 22U, 23U}) {
    CAPTURE(code);
    RelayFixture relay({1, 1});
    const auto client = ask_and_answer(
        relay, [&](const SentQuery& query) { return answer_to(query, kServfail, 0, error_opt(code), 1); });
    CHECK_FALSE(relay.answered(client));
    CHECK(relay.upstreams.lines.size() == 2);
  }
}

TEST_CASE("an answer that a filter gives is final, whatever its RCODE, and speaks for the upstream") {
  for (const unsigned code : {15U, 16U, 17U, 18U}) {
    for (const unsigned rcode : {0U, 1U, kServfail, kNxdomain, kNotimp, kRefused}) {
      CAPTURE(code);
      CAPTURE(rcode);
      RelayFixture relay({1, 1});
      const auto client =
          ask_and_answer(relay, [&](const SentQuery& query) { return answer_to(query, rcode, 0, error_opt(code), 1); });
      CHECK(relay.rcode(client) == rcode);
      CHECK(contains(relay.got(client), "option 15 00" + to_hex(u8(code))));
      CHECK(relay.upstreams.lines.size() == 1);
      CHECK(relay.count(Counter::upstream_errors) == 0);
    }
  }
}

TEST_CASE("a filter is asked first after any number of blocked names") {
  RelayFixture relay({1, 1});
  relay.warm_up();
  for (std::size_t i = 1; i <= 20; ++i) {
    const auto client = relay.ask("blocked" + std::to_string(i) + ".example" + std::to_string(i));
    REQUIRE(relay.line(0).sent.size() == i + 1);
    relay.receive(0, answer_to(relay.line(0).sent[i], kRefused, 0, error_opt(15), 1));
    CHECK(relay.rcode(client) == kRefused);
  }
  CHECK(relay.upstreams.lines.size() == 1);
}

TEST_CASE("a filter's answer without a question section is final, too") {
  RelayFixture relay({1, 1});
  const auto client = ask_and_answer(relay, [](const SentQuery& query) {
    return u16(query.id()) + u16(0x8180 | kRefused) + u16(0) + u16(0) + u16(0) + u16(1) + error_opt(17);
  });
  CHECK(relay.rcode(client) == kRefused);
  CHECK(relay.upstreams.lines.size() == 1);
}

TEST_CASE("a filter's answer that comes while the next upstream is asked for being late counts as well") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  relay.ready(1);
  SUBCASE("of the first") { relay.receive(0, answer_to(relay.line(0).sent.at(0), kServfail, 0, error_opt(17), 1)); }
  SUBCASE("of the second") { relay.receive(1, answer_to(relay.line(1).sent.at(0), kServfail, 0, error_opt(17), 1)); }
  CHECK(relay.rcode(client) == kServfail);
}

TEST_CASE("errors are no fault of an upstream where the next one has a final error") {
  RelayFixture relay({1, 1});
  for (std::size_t i = 0; i < 10; ++i) {
    const auto client = relay.ask("www" + std::to_string(i) + ".example" + std::to_string(i));
    if (i == 0) relay.ready(0);
    relay.answer(0, i, kRefused);
    if (i == 0) relay.ready(1);
    REQUIRE(relay.line(1).sent.size() == i + 1);
    relay.receive(1, answer_to(relay.line(1).sent[i], kRefused, 0, error_opt(15), 1));
    CHECK(relay.rcode(client) == kRefused);
  }
  CHECK_FALSE(contains(relay.logged(), "answers with errors"));
}

TEST_CASE("REFUSED is final where the configuration says so, other errors are not") {
  RelayFixture relay({1, 1});
  relay.config.upstreams[0].refused_is_final = true;
  SUBCASE("REFUSED") {
    const auto client = ask_and_answer(relay, [](const SentQuery& query) { return answer_to(query, kRefused); });
    CHECK(relay.rcode(client) == kRefused);
    CHECK(relay.upstreams.lines.size() == 1);
  }
  SUBCASE("SERVFAIL, then REFUSED by one without the key") {
    const auto client = ask_and_answer(relay, [](const SentQuery& query) { return answer_to(query, kServfail); });
    CHECK_FALSE(relay.answered(client));
    relay.ready(1);
    relay.answer(1, 0, kRefused);
    CHECK(relay.count(Counter::upstream_errors) == 2);
  }
}

TEST_CASE("a DNSSEC explanation may come second: RFC 8914 allows several") {
  RelayFixture relay({1, 1});
  const auto client = ask_and_answer(relay, [](const SentQuery& query) {
    return answer_to(query, kServfail, 0, opt_record({}, edns_option(15, u16(22)) + edns_option(15, u16(9))), 1);
  });
  CHECK(relay.answered(client));
}

TEST_CASE("BADVERS comes from the relay's own OPT and never reaches the client as such") {
  RelayFixture relay({1, 1});
  const auto client = ask_and_answer(
      relay, [](const SentQuery& query) { return answer_to(query, 0, 0, opt_record({.extended_rcode = 1}), 1); });
  CHECK_FALSE(relay.answered(client));
  CHECK(relay.upstreams.lines.size() == 2);
}

TEST_CASE("an error without a question section is matched by its ID") {
  for (const unsigned rcode : {1U, kServfail, kNotimp, kRefused, 9U}) {
    CAPTURE(rcode);
    RelayFixture relay({1, 1});
    const auto client = ask_and_answer(relay, [&](const SentQuery& query) { return header_only(query, rcode); });
    CHECK(relay.count(Counter::upstream_errors) == 1);
    REQUIRE(relay.upstreams.lines.size() == 2);
    relay.ready(1);
    SUBCASE("and the next upstream may know better") {
      relay.answer(1);
      CHECK(relay.rcode(client) == 0);
    }
    SUBCASE("and the client gets one with its question when that is the answer") {
      answer_each(relay, 1, [&](const SentQuery& query) { return header_only(query, rcode); });
      CHECK(relay.rcode(client) == rcode);
      CHECK(contains(relay.got(client), "question www.example. A IN\nopt 1232\n"));
    }
  }
}

TEST_CASE("an error, then the next upstream cannot be reached: the error is the answer") {
  RelayFixture relay({1, 1});
  const auto client = ask_and_answer(relay, [](const SentQuery& query) { return answer_to(query, kRefused); });
  SUBCASE("refused") { relay.refuse(1); }
  SUBCASE("slow") { relay.advance(seconds(1)); }
  CHECK(relay.rcode(client) == kRefused);
}

TEST_CASE("an error, then the next upstream is silent: the error is the answer at the deadline") {
  RelayFixture relay({1, 1});
  const auto client = ask_and_answer(relay, [](const SentQuery& query) { return answer_to(query, kServfail); });
  relay.ready(1);
  relay.advance(milliseconds(3999));
  CHECK_FALSE(relay.answered(client));
  relay.advance(milliseconds(1));
  CHECK(relay.rcode(client) == kServfail);
  CHECK(relay.explanation(client).empty());
}

TEST_CASE("an error while another upstream is being asked already waits for that one") {
  RelayFixture relay({1, 1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  relay.ready(1);
  relay.answer(0, 0, kServfail);
  CHECK_FALSE(relay.answered(client));
  CHECK(relay.upstreams.dials(2) == 0);
  SUBCASE("which answers") {
    relay.answer(1);
    CHECK(relay.rcode(client) == 0);
  }
  SUBCASE("which fails too") {
    relay.answer(1, 0, kRefused);
    CHECK(relay.rcode(client) == kRefused);
  }
}

TEST_CASE(
    "an error, then the next upstream closes on the query: the connection that was being made has another chance") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.answer(0, 0, 5);
  relay.ready(1);
  REQUIRE(relay.line(1).sent.size() == 1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  for (int i = 0; i < 260; ++i) relay.ask("load" + std::to_string(i) + ".example");
  REQUIRE(relay.upstreams.lines.size() == 3);  // up1 gets a companion
  for (std::size_t i = 1; i < relay.line(0).sent.size(); ++i) relay.answer(0, i, 5);
  REQUIRE(relay.upstreams.lines.size() == 4);  // and so does up2
  REQUIRE(relay.line(3).upstream == 1);
  relay.advance(milliseconds(10));
  relay.end(1);
  relay.ready(3);
  CHECK(relay.line(3).sent.size() == 260);
  CHECK(relay.count(Counter::answers) == 1);
}

TEST_CASE("an error arrives while the next upstream is still being dialled for the same query") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(1));
  relay.answer(0, 0, kServfail);
  CHECK_FALSE(relay.answered(client));
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
}

}  // namespace
}  // namespace dotrelay::test
