// Answers that were meant for a query but cannot be read: the query goes on at once.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr unsigned kServfail = 2, kRefused = 5;

/// The frames that end an attempt, by what is wrong with them.
std::vector<std::pair<std::string, Octets>> malformed_answers(const SentQuery& query) {
  const Octets sound = answer_to(query, 0, 1, record(pointer(12), 1, u32(0x0a000001)));
  const Octets question = query.question();
  const auto with_counts = [&](unsigned questions, unsigned answers, unsigned additionals, const Octets& rest) {
    return u16(query.id()) + u16(0x8180) + u16(questions) + u16(answers) + u16(0) + u16(additionals) + rest;
  };
  Octets echo = query.message;
  Octets other_opcode = sound;
  other_opcode[2] |= 4 << 3;
  return {
      {"more answers counted than there are", answer_to(query, 0, 3, record(pointer(12), 1, u32(1)))},
      {"a record that is cut", Octets(sound.begin(), sound.end() - 2)},
      {"two OPT records", answer_to(query, 0, 0, error_opt(22) + error_opt(22), 2)},
      {"an option past the end", answer_to(query, 0, 0, opt_record({}, hex("000f 0009 0016")), 1)},
      {"two questions", with_counts(2, 0, 0, question + question)},
      {"NOERROR without a question", with_counts(0, 0, 0, {})},
      {"NXDOMAIN without a question", header_only(query, 3)},
      {"a record without a question", with_counts(0, 1, 0, record(name("www.example"), 1, u32(1)))},
      {"a question that is cut", with_counts(1, 0, 0, Octets(question.begin(), question.end() - 3))},
      {"a question that points to itself", with_counts(1, 0, 0, pointer(12) + u16(1) + u16(1))},
      {"a header that is cut", Octets(sound.begin(), sound.begin() + 5)},
      {"the query itself", echo},
      {"another opcode", other_opcode},
  };
}

TEST_CASE("with one upstream the client hears of a malformed answer at once") {
  RelayFixture sample;
  sample.ask("www.example");
  sample.ready(0);
  const std::size_t kinds = malformed_answers(sample.line(0).sent.at(0)).size();
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    RelayFixture relay;
    const auto client = relay.ask("www.example");
    relay.ready(0);
    const auto [what, frame] = malformed_answers(relay.line(0).sent.at(0))[kind];
    CAPTURE(what);
    relay.receive(0, frame);
    CHECK(relay.rcode(client) == kServfail);
    CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): malformed answer");
    CHECK(relay.count(Counter::upstream_malformed) == 1);
    CHECK(relay.count(Counter::upstream_mismatched) == 0);
    CHECK(relay.count(Counter::failed) == 1);
    CHECK_FALSE(relay.line(0).gone);
  }
}

TEST_CASE("a malformed answer makes the relay ask the next upstream, as an error does") {
  RelayFixture relay({1, 1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  const auto malformed = [&](std::size_t line, std::size_t query = 0) {
    relay.receive(line, answer_to(relay.line(line).sent.at(query), 0, 1));
  };
  malformed(0);
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  SUBCASE("which has the answer") {
    relay.answer(1);
    CHECK(relay.rcode(client) == 0);
  }
  SUBCASE("whose error is then the answer") {
    relay.answer(1, 0, kRefused);
    CHECK(relay.rcode(client) == kRefused);
    CHECK(relay.explanation(client).empty());
  }
  SUBCASE("whose answer is malformed, too") {
    malformed(1);
    CHECK(relay.explanation(client) ==
          "22 up1 (192.0.2.1:853): malformed answer; up2 (192.0.2.2:853): malformed answer");
  }
  SUBCASE("which is silent until the deadline") {
    relay.advance(seconds(5));
    CHECK(contains(relay.explanation(client), "up1 (192.0.2.1:853): malformed answer"));
  }
  CHECK(relay.client(client).answers.size() == 1);
}

TEST_CASE("an error is the answer when the second opinion is malformed") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.answer(0, 0, kRefused);
  relay.ready(1);
  relay.receive(1, answer_to(relay.line(1).sent.at(0), 0, 1));
  CHECK(relay.rcode(client) == kRefused);
}

TEST_CASE("a malformed frame that was meant for no query is dropped") {
  RelayFixture relay({1, 1});
  const auto client = relay.ask("www.example");
  relay.ready(0);
  const SentQuery query = relay.line(0).sent.at(0);
  Octets other_id = answer_to(query, 0, 1);
  other_id[0] ^= 0x55;
  Octets other_question = answer_to(query, 0, 1);
  other_question[13] ^= 1;
  Octets notification = u16(query.id()) + u16(0x3000) + Octets(8, 0);  // DSO, RFC 8490: no query is meant
  for (const Octets& frame :
       {other_id, other_question, notification, Octets{}, hex("12"), u16(query.id()) + u8(0x81)}) {
    relay.receive(0, frame);
  }
  CHECK_FALSE(relay.answered(client));
  CHECK(relay.count(Counter::upstream_mismatched) == 6);
  relay.answer(0);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("a malformed answer to a query that was given up frees its ID and harms nobody") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  relay.ready(0);
  relay.advance(seconds(4));
  CHECK(relay.answered(client));
  relay.receive(0, answer_to(relay.line(0).sent.at(0), 0, 1));
  CHECK(relay.count(Counter::upstream_malformed) == 1);
  CHECK(relay.client(client).answers.size() == 1);
}

TEST_CASE("an upstream whose answers are malformed is passed over, and tried with copies until one is sound") {
  RelayFixture relay({1, 1});
  std::size_t asked = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    const auto client = relay.ask("www" + std::to_string(i) + ".example" + std::to_string(i));
    if (i == 0) relay.ready(0);
    if (relay.line(0).sent.size() > asked) relay.receive(0, answer_to(relay.line(0).sent[asked++], 0, 1));
    if (i == 0) relay.ready(1);
    relay.answer(1, i);
    CHECK(relay.rcode(client) == 0);
  }
  CHECK(asked == 5);
  CHECK(contains(relay.logged(), "answers with errors where others have an answer"));
  // A copy that is malformed again is a trial that has failed.
  relay.advance(milliseconds(300));
  relay.ask("copy1.example");
  REQUIRE(relay.line(0).sent.size() == ++asked);
  relay.receive(0, answer_to(relay.line(0).sent.back(), 0, 1));
  relay.answer(1, 10);
  CHECK_FALSE(contains(relay.logged(), ": works again"));
  relay.advance(seconds(5));
  relay.ask("copy2.example");
  REQUIRE(relay.line(0).sent.size() == ++asked);
  relay.answer(0, asked - 1);
  CHECK(contains(relay.logged(), ": works again"));
}

}  // namespace
}  // namespace dotrelay::test
