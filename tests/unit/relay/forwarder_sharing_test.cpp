// Which clients' questions become one query upstream, and which must not.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// Queries that went upstream for the two clients.
std::size_t queries_for(const Ask& left, const Ask& right, std::string_view right_name = "www.example") {
  RelayFixture relay;
  relay.ask("www.example", left);
  relay.ask(right_name, right);
  relay.ready(0);
  return relay.line(0).sent.size();
}

TEST_CASE("what does not change the answer does not part questions") {
  CHECK(queries_for({}, {}) == 1);
  CHECK(queries_for({}, {}, "WWW.eXaMpLe") == 1);
  CHECK(queries_for({.id = 1}, {.id = 2}) == 1);
  CHECK(queries_for({.edns = true}, {.edns = false}) == 1);
  CHECK(queries_for({.source = 1}, {.source = 2}) == 1);
  CHECK(queries_for({.tcp = true}, {.tcp = false}) == 1);
  // A cookie (RFC 7873) and client subnet (RFC 7871) stay with the relay.
  CHECK(queries_for({}, {.options = edns_option(10, Octets(8, 1))}) == 1);
  CHECK(queries_for({}, {.options = edns_option(8, hex("00011800 c00002"))}) == 1);
}

TEST_CASE("what may change the answer does") {
  CHECK(queries_for({}, {}, "www.example.net") == 2);
  CHECK(queries_for({}, {.type = 28}) == 2);
  CHECK(queries_for({}, {.flags = 0x0000}) == 2);  // RD
  CHECK(queries_for({}, {.flags = 0x0110}) == 2);  // CD
  CHECK(queries_for({}, {.flags = 0x0120}) == 2);  // AD
  CHECK(queries_for({}, {.dnssec_ok = true}) == 2);
  CHECK(queries_for({}, {.options = edns_option(3)}) == 2);  // NSID
  CHECK(queries_for({.options = edns_option(5, u8(8))}, {.options = edns_option(5, u8(13))}) == 2);
}

TEST_CASE("what goes upstream carries the client's flags, DO and carried options, and no other option") {
  RelayFixture relay;
  relay.ask("www.example",
            {.flags = 0x0130, .dnssec_ok = true, .options = edns_option(10, Octets(8, 1)) + edns_option(3)});
  relay.ready(0);
  const std::string sent = transcript(relay.line(0).sent[0].message);
  CHECK(contains(sent, "query rd ad cd NOERROR\nquestion www.example. A IN\nopt "));
  CHECK(contains(sent, " do\noption 3\npadding "));
  CHECK_FALSE(contains(sent, "option 10"));
  CHECK(relay.line(0).sent[0].message.size() % 128 == 0);
}

TEST_CASE("every client that shares a question gets the answer, each once") {
  RelayFixture relay;
  std::vector<std::uint32_t> clients;
  for (unsigned i = 0; i < 500; ++i) clients.push_back(relay.ask("www.example", {.id = i, .source = i % 200}));
  relay.ready(0);
  CHECK(relay.line(0).sent.size() == 1);
  relay.answer(0);
  for (unsigned i = 0; i < 500; ++i) {
    REQUIRE(relay.client(clients[i]).answers.size() == 1);
    CHECK(relay.client(clients[i]).answers[0][1] == (i & 0xff));
  }
  CHECK(relay.count(Counter::shared) == 499);
}

TEST_CASE("a question that was answered is asked again") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.ready(0);
  relay.answer(0);
  relay.ask("www.example");
  CHECK(relay.line(0).sent.size() == 2);
}

TEST_CASE("who asks in the second half of a query's time does not join it") {
  RelayFixture relay;
  const auto first = relay.ask("www.example");
  relay.ready(0);
  for (int i = 0; i < 2; ++i) {
    relay.advance(milliseconds(900));
    relay.ask("other.example");  // the connection is not mute
    relay.answer_latest(0);
  }
  const std::size_t before = relay.line(0).sent.size();
  relay.advance(milliseconds(199));
  const auto second = relay.ask("www.example");
  CHECK(relay.line(0).sent.size() == before);
  relay.advance(milliseconds(1));
  const auto third = relay.ask("www.example");
  CHECK(relay.line(0).sent.size() == before + 1);
  const auto fourth = relay.ask("www.example");  // joins the third's
  CHECK(relay.line(0).sent.size() == before + 1);
  relay.answer(0, before);
  CHECK(relay.rcode(third) == 0);
  CHECK(relay.rcode(fourth) == 0);
  CHECK_FALSE(relay.answered(first));
  relay.answer(0, 0);
  CHECK(relay.rcode(first) == 0);
  CHECK(relay.rcode(second) == 0);
}

}  // namespace
}  // namespace dotrelay::test
