// Every limit of the forwarder: what happens on reaching it, and that it is given back.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

std::string numbered(std::size_t i) { return "n" + std::to_string(i) + ".example"; }

TEST_CASE("one address that asks for ever gets three quarters of the questions; others are served meanwhile") {
  RelayFixture relay;
  for (std::size_t i = 0; i < WaitingClients::kMaxQueries; ++i) relay.ask(numbered(i));
  CHECK(relay.count(Counter::client_limited) == WaitingClients::kMaxQueries / 4);
  CHECK(relay.count(Counter::overloaded) == WaitingClients::kMaxQueries / 4);
  const auto refused = relay.ask("www.example");
  CHECK(relay.rcode(refused) == 2);
  CHECK(relay.explanation(refused) == "0 too many queries from this address");
  // Others find room, and so does one that asks a lot itself.
  for (unsigned source = 2; source < 1000; ++source) {
    REQUIRE(relay.client(relay.ask("of" + std::to_string(source) + ".example", {.source = source})).waiting);
  }
  for (std::size_t i = 0; i < 5000; ++i) REQUIRE(relay.client(relay.ask("o" + numbered(i), {.source = 1000})).waiting);
  relay.advance(seconds(5));
  CHECK(relay.forwarder.idle());
  for (std::size_t i = 0; i < WaitingClients::kMaxQueries * 3 / 4; ++i)
    REQUIRE(relay.client(relay.ask(numbered(i))).waiting);
}

TEST_CASE("one address that repeats its questions for ever gets half of the waiting places") {
  RelayFixture relay;
  for (std::size_t i = 0; i < WaitingClients::kMaxWaiters; ++i) relay.ask(numbered(i % 4000));
  CHECK(relay.count(Counter::client_limited) == WaitingClients::kMaxWaiters / 2);
  CHECK(relay.client(relay.ask(numbered(0), {.source = 2})).waiting);
  relay.advance(seconds(5));
  CHECK(relay.forwarder.idle());
  CHECK(relay.client(relay.ask("www.example")).waiting);
}

TEST_CASE("10,000 clients may share one question; the next begins another, so nobody keeps others from a name") {
  RelayFixture relay;
  for (std::size_t i = 0; i < QueryBeginnings::kMaxWaitersPerQuery; ++i) relay.ask("www.example");
  CHECK(relay.count(Counter::shared) == QueryBeginnings::kMaxWaitersPerQuery - 1);
  const auto other = relay.ask("www.example", {.source = 3});
  CHECK(relay.client(other).waiting);
  CHECK(relay.count(Counter::shared) == QueryBeginnings::kMaxWaitersPerQuery - 1);
  relay.ready(0);
  CHECK(relay.line(0).sent.size() == 2);
  relay.answer(0, 0);
  relay.advance(milliseconds(20));
  CHECK(relay.count(Counter::answers) == 10'000);
  CHECK_FALSE(relay.answered(other));
  relay.answer(0, 1);
  CHECK(relay.answered(other));
}

TEST_CASE("a long answer for many clients is delivered in portions, and others are served in between") {
  RelayFixture relay;
  std::vector<std::uint32_t> clients;
  for (std::size_t i = 0; i < 1000; ++i) clients.push_back(relay.ask("big.example", {.tcp = true}));
  relay.ready(0);
  const Octets record = u16(0xc00c) + u16(16) + u16(1) + u16(0) + u16(60) + u16(60'000) + Octets(60'000, 0);
  relay.receive(0, answer_to(relay.line(0).sent[0], 0, 1, record));
  const std::uint64_t first = relay.count(Counter::answers);
  CHECK(first * 60'000 >= WaitingClients::kMaxDeliveredPerTurn);
  CHECK(first * 60'000 < 2 * WaitingClients::kMaxDeliveredPerTurn);
  const auto other = relay.ask("other.example");
  relay.advance(milliseconds(1));
  relay.answer(0, 1);
  CHECK(relay.answered(other));
  CHECK(relay.count(Counter::answers) < 4 * first);
  relay.advance(milliseconds(300));
  for (const std::uint32_t client : clients) CHECK(relay.client(client).answers.size() == 1);
  CHECK(relay.forwarder.idle());
}

TEST_CASE("an answer that is delivered in portions is for those who asked before; the connection may end meanwhile") {
  RelayFixture relay({1, 1});
  for (std::size_t i = 0; i < 100; ++i) relay.ask("big.example", {.tcp = true});
  relay.ready(0);
  const Octets record = u16(0xc00c) + u16(16) + u16(1) + u16(0) + u16(60) + u16(60'000) + Octets(60'000, 0);
  relay.receive(0, answer_to(relay.line(0).sent[0], 0, 1, record));
  const auto late = relay.ask("big.example", {.tcp = true});
  CHECK(relay.count(Counter::upstream_queries) == 2);
  relay.end(0);
  relay.advance(seconds(5));
  CHECK(relay.count(Counter::answers) == 101);
  CHECK(relay.client(late).answers.size() == 1);
  CHECK(relay.forwarder.idle());
}

TEST_CASE("a failure that many clients share is told in portions, too") {
  RelayFixture relay;
  for (std::size_t i = 0; i < QueryBeginnings::kMaxWaitersPerQuery; ++i)
    relay.ask("www.example", {.source = static_cast<unsigned>(1 + i % 2)});
  relay.end(0, CloseKind::authentication, "certificate expired");
  CHECK(relay.count(Counter::answers) < QueryBeginnings::kMaxWaitersPerQuery);
  relay.advance(milliseconds(20));
  CHECK(relay.count(Counter::answers) == QueryBeginnings::kMaxWaitersPerQuery);
  CHECK(relay.count(Counter::failed) == QueryBeginnings::kMaxWaitersPerQuery);
}

TEST_CASE("queries are refused when the memory is used up, and served when it is free again") {
  RelayFixture relay;
  std::size_t waiting = 0;
  while (relay.client(relay.ask(numbered(waiting), {.source = 1 + static_cast<unsigned>(waiting % 200)})).waiting)
    ++waiting;
  const std::size_t taken = waiting * (WaitingClients::kQueryBytes + WaitingClients::kWaiterBytes);
  CHECK(taken == relay.memory.used());
  CHECK(relay.count(Counter::overloaded) == 1);
  relay.advance(seconds(5));
  CHECK(relay.memory.used() == 0);
  relay.forwarder.shrink();
  CHECK(relay.client(relay.ask("www.example")).waiting);
}

TEST_CASE("one address cannot have the memory that others need for their queries") {
  RelayFixture relay;
  constexpr std::size_t kAll = 4096 * MemoryBudget::kChunkBytes;
  constexpr std::size_t kKept = kAll / 2 / 4;  // for answers, and as much for others
  REQUIRE(relay.memory.take(kAll - 2 * kKept - 1000 * (WaitingClients::kQueryBytes + WaitingClients::kWaiterBytes)));
  std::size_t waiting = 0;
  for (std::size_t i = 0; i < 20'000; ++i) waiting += relay.client(relay.ask(numbered(i))).waiting ? 1 : 0;
  CHECK(waiting > 900);
  CHECK(waiting < 1100);
  CHECK(relay.explanation(relay.ask("www.example")) == "0 out of memory");
  for (unsigned source = 2; source < 200; ++source)
    REQUIRE(relay.client(relay.ask("of" + std::to_string(source) + ".example", {.source = source})).waiting);
}

TEST_CASE("32,768 different questions at once, 65,536 clients, and all of it is given back") {
  RelayFixture relay;
  // Of many clients, none of which has much: the last ones are refused when some hundred places are left.
  for (std::size_t i = 0; i < WaitingClients::kMaxQueries; ++i)
    relay.ask(numbered(i), {.source = static_cast<unsigned>(i % 1000)});
  CHECK(relay.count(Counter::overloaded) < 100);
  for (unsigned i = 1000; i < 1200; ++i) relay.ask("m" + numbered(i), {.source = i});
  CHECK(relay.explanation(relay.ask("last.example", {.source = 60'000})) == "0 too many queries");
  for (std::size_t i = 0; i < WaitingClients::kMaxWaiters; ++i)
    relay.ask(numbered(i % 20'000), {.source = static_cast<unsigned>(i % 10'000)});
  CHECK(relay.explanation(relay.ask(numbered(0), {.source = 60'000})) == "0 too many queries");
  relay.advance(seconds(5));
  CHECK(relay.forwarder.idle());
  CHECK(relay.client(relay.ask("www.example", {.source = 100})).waiting);
}

TEST_CASE("error answers over UDP are limited for a network of sources, over TCP they are not") {
  RelayFixture relay;
  const auto refused = [&](unsigned source, bool tcp) {
    return relay.answered(relay.ask("www.example", {.type = 252, .source = source, .tcp = tcp}));
  };
  for (int i = 0; i < ErrorLimit::kBurst; ++i) REQUIRE(refused(static_cast<unsigned>(i % 200), false));
  CHECK_FALSE(refused(1, false));
  CHECK_FALSE(refused(201, false));
  CHECK(refused(1, true));
  CHECK(refused(256, false));  // another /24
  CHECK(relay.count(Counter::errors_withheld) == 2);
  CHECK(relay.count(Counter::rejected) == ErrorLimit::kBurst + 4);
  CHECK_FALSE(relay.answered(relay.ask("www.example")));  // a question still is one
  CHECK(relay.client(relay.ask("www.example")).waiting);
  CHECK(relay.rcode(relay.ask("www.onion")) == 3);
  relay.advance(seconds(2));
  for (int i = 0; i < 2 * ErrorLimit::kPerSecond; ++i) REQUIRE(refused(1, false));
  CHECK_FALSE(refused(1, false));
}

TEST_CASE("a connection that does not take queries fast enough: the next upstream") {
  RelayFixture relay({1, 1});
  relay.warm_up();
  relay.line(0).takes_queries = false;
  const auto client = relay.ask("www.example");
  REQUIRE(relay.upstreams.lines.size() == 2);
  relay.ready(1);
  relay.answer(1);
  CHECK(relay.rcode(client) == 0);
  CHECK_FALSE(relay.line(0).gone);
}

TEST_CASE("when no upstream takes queries fast enough the client is told, and nothing spins") {
  RelayFixture relay({1, 1});
  relay.warm_up();
  relay.line(0).takes_queries = false;
  const auto client = relay.ask("www.example");
  relay.line(1).takes_queries = false;
  relay.ready(1);
  CHECK(relay.explanation(client) ==
        "22 up1 (192.0.2.1:853): does not take queries fast enough; up2 (192.0.2.2:853): does not take queries fast "
        "enough");
  CHECK(relay.client(client).waiting);
  // What accept() itself finds out, it answers itself.
  const auto late = relay.ask("late.example");
  CHECK_FALSE(relay.client(late).waiting);
  CHECK(relay.explanation(late) == relay.explanation(client));
  CHECK(relay.count(Counter::answers) == 3);
  CHECK(relay.count(Counter::failed) == 2);
  CHECK(relay.forwarder.idle());
}

TEST_CASE("when the one that works takes no more queries, the others are dialled whatever their back-off") {
  RelayFixture relay({1, 1});
  for (int i = 0; i < 6; ++i) {
    relay.ask("late" + std::to_string(i) + ".example");
    if (i == 0) relay.ready(0);
    relay.advance(seconds(1));
    relay.refuse_all();
    relay.answer_latest(0);
  }
  const std::size_t before = relay.upstreams.lines.size();
  REQUIRE(before > 3);
  relay.advance(milliseconds(210));
  relay.line(0).takes_queries = false;
  const auto client = relay.ask("www.example");
  REQUIRE(relay.upstreams.lines.size() == before + 1);
  CHECK(relay.upstreams.lines.back().upstream == 1);
  relay.ready(before);
  relay.answer(before);
  CHECK(relay.rcode(client) == 0);
}

TEST_CASE("messages that are not to be relayed go nowhere") {
  RelayFixture relay;
  CHECK_FALSE(relay.answered(relay.send({})));
  CHECK_FALSE(relay.answered(relay.send(Octets(11, 0))));
  CHECK_FALSE(relay.answered(relay.send(MessageBuilder(1, 0x8180).question("www.example"))));
  CHECK(relay.count(Counter::ignored) == 3);
  CHECK(relay.rcode(relay.send(MessageBuilder(1, 0x0100).question("www.example").question("www.example"))) == 1);
  CHECK(relay.rcode(relay.ask("www.example", {.type = 252})) == 5);
  CHECK(relay.rcode(relay.ask("www.example", {.flags = 0x2800})) == 4);
  CHECK(relay.rcode(relay.ask("www.onion")) == 3);
  CHECK(relay.rcode(relay.ask("www.example", {.options = edns_option(5, Octets(1100, 1))})) == 1);
  CHECK(relay.count(Counter::rejected) == 4);
  CHECK(relay.count(Counter::answered_locally) == 1);
  CHECK(relay.upstreams.lines.empty());
  CHECK(relay.forwarder.idle());
}

TEST_CASE("the timer of a room that fills while a walk through it is put off does not spin") {
  RelayFixture relay({2});
  for (std::size_t i = 0; i < 600; ++i) relay.ask(numbered(i), {.source = static_cast<unsigned>(i % 32)});
  relay.refuse(0);  // all look again, and the other address is dialled
  relay.advance(milliseconds(1));
  relay.refuse(1);  // too soon for another walk
  for (std::size_t i = 600; i < 6000; ++i) relay.ask(numbered(i), {.source = static_cast<unsigned>(i % 32)});
  std::size_t wakes = 0;
  for (const TimePoint until = relay.now + milliseconds(60); relay.now < until; ++wakes) {
    relay.now = std::max(relay.now, relay.forwarder.next_timeout(relay.now));
    relay.forwarder.on_timer(relay.now);
    REQUIRE(wakes < 100);
    CHECK(relay.forwarder.next_timeout(relay.now) > relay.now);
  }
}

}  // namespace
}  // namespace dotrelay::test
