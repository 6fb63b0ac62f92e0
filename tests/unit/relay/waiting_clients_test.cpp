// The clients that wait: what each is told, once, in portions where there are thousands, and the memory that they take.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr Outcome kFailure{Outcome::Kind::failure, {}};

/// Memory of `count` clients of one query.
std::size_t memory_of(std::size_t count) { return WaitingClients::kQueryBytes + count * WaitingClients::kWaiterBytes; }

TEST_CASE("all clients of a query are told once, each with its own ID") {
  PartsFixture parts;
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.clients.admit(0));
  parts.clients.on_shared();
  const std::uint32_t second = parts.wait_for(query, MessageBuilder(77).question("wWw.example"));
  CHECK(parts.memory.used() == memory_of(2));
  parts.clients.begin_turn();
  CHECK(parts.clients.tell(parts.query(query), kFailure));
  CHECK(parts.query(query).waiters.empty());
  CHECK(parts.channel.clients[0].answers.size() == 1);
  REQUIRE(parts.channel.clients[second].answers.size() == 1);
  const Octets& answer = parts.channel.clients[second].answers[0];
  CHECK(answer[1] == 77);
  CHECK(answer[14] == 'W');  // as this client spelled it
  CHECK(parts.count(Counter::failed) == 2);
  CHECK(parts.count(Counter::answers) == 2);
  CHECK(parts.memory.used() == WaitingClients::kQueryBytes);
}

TEST_CASE("a client that is still in accept() gets its answer from there") {
  PartsFixture parts;
  const QueryHandle query = parts.begin("www.example");
  const Accepted accepted = parts.clients.tell_at_once(parts.query(query), kFailure);
  CHECK(accepted.kind == Accepted::Kind::answered);
  CHECK((accepted.answer[3] & 15) == 2);
  CHECK(parts.channel.clients[0].answers.empty());
  CHECK(parts.clients.empty());
}

TEST_CASE("deadlines: the client that came first is the first; one that was told has none") {
  PartsFixture parts;
  const QueryHandle first = parts.begin("a.example");
  parts.now += milliseconds(10);
  parts.begin("b.example");
  const TimePoint due = parts.now + parts.config.relay.deadline;
  CHECK(parts.clients.next_event() == due - milliseconds(10));
  CHECK_FALSE(parts.clients.expired(due - milliseconds(11)));
  const WaiterHandle expired = parts.clients.expired(due);
  REQUIRE(expired);
  CHECK(parts.clients.slab().get(expired).query == first);
  parts.clients.tell_one(expired, parts.query(first), kFailure);
  CHECK(parts.clients.next_event() == due);
}

TEST_CASE("an answer for many clients goes out in portions, and no deadline counts for those that are left") {
  PartsFixture parts;
  const Octets question = MessageBuilder(1).question("www.example");
  const QueryHandle query = parts.begin("www.example");
  const Octets text(1000, 'x');  // of the cause, which each answer carries
  const Octets asking = MessageBuilder(5).question("www.example").opt({.udp_size = 1232});
  for (int i = 0; i < 1999; ++i) parts.wait_for(query, asking);
  const Outcome outcome{Outcome::Kind::failure, text};
  const auto told = [&] { return parts.count(Counter::failed); };

  parts.clients.begin_turn();
  CHECK_FALSE(parts.clients.tell(parts.query(query), outcome));
  const std::uint64_t first = told();
  CHECK(first >= WaitingClients::kMaxDeliveredPerTurn / 1232);
  CHECK(first < 1000);
  parts.clients.postpone(query, outcome, parts.now);
  CHECK_FALSE(parts.clients.expired(parts.now + std::chrono::hours(1)));
  CHECK(parts.clients.next_event() == parts.now + WaitingClients::kPortionInterval);
  CHECK_FALSE(parts.clients.tell_postponed(parts.now));  // this turn's portion is used up
  CHECK(told() == first);

  int turns = 1;
  for (QueryHandle done; !done; ++turns) {
    REQUIRE(turns < 10);
    parts.now += WaitingClients::kPortionInterval;
    CHECK(parts.clients.portion_is_due(parts.now));
    parts.clients.begin_turn();
    done = parts.clients.tell_postponed(parts.now);
  }
  CHECK(turns >= 3);
  CHECK(told() == 2000);
  CHECK(parts.clients.empty());
}

TEST_CASE("one client of a query is told although this turn's portion is used up") {
  PartsFixture parts;
  const QueryHandle query = parts.begin("www.example");
  const std::uint32_t second = parts.wait_for(query, MessageBuilder(2).question("www.example"));
  CHECK_FALSE(parts.clients.tell(parts.query(query), kFailure));  // no turn has begun: nothing may be delivered
  CHECK(parts.channel.clients[0].answers.size() == 1);
  CHECK(parts.channel.clients[second].answers.empty());
}

TEST_CASE("an admission that is revoked leaves no memory counted") {
  PartsFixture parts;
  REQUIRE(parts.clients.admit(0));
  CHECK(parts.memory.used() == memory_of(1));
  parts.clients.revoke_admission();
  CHECK(parts.memory.used() == 0);
}

TEST_CASE("error answers are limited for a network over UDP, never over TCP") {
  PartsFixture parts;
  const Octets message = MessageBuilder(1).question("www.example");
  const dns::QueryView view = dns::parse_query(message).query;
  const auto reject = [&](bool tcp) {
    const Incoming incoming{.message = message,
                            .source = parse_endpoint("192.0.2.7:53", 0)->address,
                            .transport = {.tcp = tcp},
                            .channel = &parts.channel,
                            .client = {}};
    return parts.clients.reject(incoming, view, dns::Rcode::formerr, {}, parts.now).kind;
  };
  int answered = 0;
  while (reject(false) == Accepted::Kind::answered) REQUIRE(++answered <= ErrorLimit::kBurst);
  CHECK(answered == ErrorLimit::kBurst);
  CHECK(parts.count(Counter::errors_withheld) == 1);
  CHECK(reject(true) == Accepted::Kind::answered);
}

}  // namespace
}  // namespace dotrelay::test
