// Workers whose upstream takes fewer connections than there are workers: those without one send their queries through
// the others.
#include "relay_fixture.hpp"
#include "sibling_mail.hpp"

namespace dotrelay::test {
namespace {

/// Workers of one relay that share what is known of the upstreams, and a mailbox each.
struct Workers {
  explicit Workers(std::size_t count = 2, std::initializer_list<std::size_t> addresses_of_upstreams = {1, 1})
      : mail(count, 4) {
    relays.emplace_back(addresses_of_upstreams, &mail, 0);
    for (std::size_t i = 1; i < count; ++i) relays.emplace_back(relays.front(), &mail, i);
  }

  RelayFixture& operator[](std::size_t number) { return relays[number]; }

  void advance(Duration duration) {
    for (const TimePoint until = relays.front().now + duration; relays.front().now < until;) {
      for (RelayFixture& relay : relays) relay.advance(milliseconds(5));
      deliver();
    }
  }
  void deliver() { mail.deliver(relays.front().now); }

  /// Worker 0 has a connection to the first upstream, and has answered.
  void connect_first() {
    relays.front().warm_up();
    advance(milliseconds(100));
  }

  /// Worker `number` is refused, and again when it tries once more: then the limit is known.
  void learn(std::size_t number) {
    RelayFixture& relay = relays[number];
    relay.ask("refused.example");
    relay.refuse(relay.upstreams.lines.size() - 1);
    serve();
    advance(milliseconds(250));
    relay.ask("again.example");
    serve();
    relay.refuse(relay.upstreams.lines.size() - 1);
    REQUIRE(contains(relay.logged(), "takes no more connections"));
    serve();
    advance(milliseconds(250));
  }

  /// Answers all that worker 0 has sent on its first connection, until nothing more comes.
  void serve() {
    deliver();
    RelayFixture& lender = relays.front();
    for (; served < lender.line(0).sent.size(); ++served) {
      lender.answer(0, served);
      deliver();
    }
  }

  SiblingMail mail;
  std::deque<RelayFixture> relays;
  std::size_t served = 1;
};

TEST_CASE("a worker that is refused asks through a sibling, and the second upstream is not asked") {
  Workers workers;
  workers.connect_first();
  RelayFixture& borrower = workers[1];
  const auto client = borrower.ask("www.example", {.id = 0x7777});
  borrower.refuse(0);
  workers.deliver();
  REQUIRE(workers[0].line(0).sent.size() == 2);
  workers.serve();
  CHECK(borrower.rcode(client) == 0);
  CHECK(load_u16(borrower.client(client).answers.back().data()) == 0x7777);
  CHECK(borrower.upstreams.dials(1) == 0);
  CHECK_FALSE(Health(borrower.health[0]).in_trouble());
  CHECK(borrower.count(Counter::passed_to_sibling) == 1);
  CHECK(workers[0].count(Counter::taken_from_sibling) == 1);
  CHECK(borrower.count(Counter::upstream_answers) == 1);
}

TEST_CASE("the limit is learned from the second refusal, told once, and known to all") {
  Workers workers(3);
  workers.connect_first();
  workers.learn(1);
  const std::size_t dials = workers[1].upstreams.lines.size();
  for (int i = 0; i < 50; ++i) {
    const auto client = workers[1].ask("n" + std::to_string(i) + ".example");
    workers.serve();
    CHECK(workers[1].rcode(client) == 0);
    workers.advance(milliseconds(100));
  }
  CHECK(workers[1].upstreams.lines.size() == dials);
  // A worker that has tried nothing yet.
  const auto client = workers[2].ask("third.example");
  workers.serve();
  CHECK(workers[2].rcode(client) == 0);
  CHECK(workers[2].upstreams.lines.empty());
  CHECK(workers[1].count(Counter::upstream_limited) == 2);
  CHECK_FALSE(contains(workers[2].logged(), "takes no more connections"));
}

TEST_CASE("after ten seconds one worker tries for a connection, while its queries go on; then it uses its own") {
  Workers workers(3);
  workers.connect_first();
  workers.learn(1);
  for (int i = 0; i < 11; ++i) {
    for (RelayFixture& relay : workers.relays) relay.ask("keep" + std::to_string(i) + ".example");
    workers.serve();
    workers.advance(seconds(1));
  }
  const std::size_t one = workers[1].upstreams.lines.size();
  const std::size_t two = workers[2].upstreams.lines.size();
  CHECK(one + two == 3);
  RelayFixture& trier = two == 1 ? workers[2] : workers[1];
  const auto client = trier.ask("meanwhile.example");
  workers.serve();
  CHECK(trier.rcode(client) == 0);
  const std::size_t own = trier.upstreams.lines.size() - 1;
  trier.ready(own);
  const auto next = trier.ask("next.example");
  REQUIRE(trier.line(own).sent.size() == 1);
  trier.answer(own);
  CHECK(trier.rcode(next) == 0);
}

TEST_CASE("in an outage a refusal is an ordinary trouble") {
  Workers workers;
  workers.connect_first();
  workers.learn(1);
  workers[0].end(0, CloseKind::timed_out, "connection timed out");
  const auto client = workers[1].ask("www.example");
  workers.deliver();
  workers[1].refuse(workers[1].upstreams.lines.size() - 1);
  CHECK(Health(workers[1].health[0]).trouble() == Trouble::unreachable);
  CHECK(workers[1].upstreams.dials(1) == 1);
  CHECK_FALSE(workers[1].answered(client));
}

TEST_CASE("a lender whose connection ends says so, and the query goes elsewhere at once") {
  Workers workers(3);
  workers.connect_first();
  workers.learn(1);
  const auto client = workers[1].ask("www.example");
  workers.deliver();
  workers[0].end(0, CloseKind::closed_by_peer, "connection reset by peer");
  workers.deliver();
  RelayFixture& borrower = workers[1];
  borrower.ready(borrower.upstreams.lines.size() - 1);
  borrower.answer(borrower.upstreams.lines.size() - 1);
  CHECK(borrower.rcode(client) == 0);
}

TEST_CASE("a lender that dies is left at once, and what it had borrowed is given up") {
  Workers workers(3);
  workers.connect_first();
  workers.learn(1);
  const auto client = workers[1].ask("www.example");
  workers.mail.die(0, workers[1].now);
  RelayFixture& borrower = workers[1];
  CHECK(borrower.line(borrower.upstreams.lines.size() - 1).state == Connection::State::connecting);
  borrower.ready(borrower.upstreams.lines.size() - 1);
  borrower.answer(borrower.upstreams.lines.size() - 1);
  CHECK(borrower.rcode(client) == 0);

  workers[1].ask("pending.example");
  workers.mail.die(1, workers[0].now);
  CHECK(workers[0].forwarder.lending().empty());
}

/// The worker has dialled the second upstream, which answers the client now.
void answered_by_second_upstream(RelayFixture& worker, std::uint32_t client) {
  REQUIRE(worker.upstreams.dials(1) == 1);
  const std::size_t line = worker.upstreams.lines.size() - 1;
  worker.ready(line);
  worker.answer(line);
  CHECK(worker.rcode(client) == 0);
}

TEST_CASE("a sibling that does not read costs a query no more than the next upstream") {
  Workers workers;
  workers.connect_first();
  workers.learn(1);
  workers.mail.takes_mail = false;
  const auto client = workers[1].ask("www.example");
  answered_by_second_upstream(workers[1], client);
}

TEST_CASE("a lender that is silent is like a mute connection") {
  Workers workers;
  workers.connect_first();
  workers.learn(1);
  const auto client = workers[1].ask("www.example");
  workers[1].advance(milliseconds(1100));  // nobody delivers
  answered_by_second_upstream(workers[1], client);
}

TEST_CASE("a lender that hangs does not keep a worker from connections of its own") {
  Workers workers(2, {1});
  workers.connect_first();
  workers.learn(1);
  RelayFixture& borrower = workers[1];
  const std::size_t before = borrower.upstreams.lines.size();
  const auto client = borrower.ask("www.example");
  borrower.advance(milliseconds(1100));
  REQUIRE(borrower.upstreams.lines.size() == before + 1);
  borrower.ready(before);
  REQUIRE(borrower.line(before).sent.size() == 1);
  borrower.answer(before);
  CHECK(borrower.rcode(client) == 0);
}

TEST_CASE("a suspect connection is lent no more, and its guests go elsewhere") {
  Workers workers;
  workers.connect_first();
  workers.learn(1);
  const auto client = workers[1].ask("www.example");
  workers.deliver();
  workers[0].line(0).silent = true;
  workers.advance(milliseconds(70));
  CHECK(workers[0].count(Counter::upstream_suspected) == 1);
  CHECK(workers[0].forwarder.lending().empty());
  CHECK_FALSE(workers[1].answered(client));
  CHECK(workers[1].upstreams.open() > 0);  // it dials again
}

TEST_CASE("guests are bounded by time, and what is no query is refused") {
  Workers workers;
  workers.connect_first();
  workers.learn(1);
  const auto client = workers[1].ask("www.example");
  workers.deliver();
  CHECK_FALSE(workers[0].forwarder.lending().empty());
  workers.advance(seconds(5));
  CHECK(workers[1].rcode(client) == 2);
  workers.advance(seconds(4));  // it was sent once more
  CHECK(workers[0].forwarder.lending().empty());

  const std::size_t sent = workers[0].line(0).sent.size();
  Lending& lending = workers[0].forwarder.lending();
  const TimePoint now = workers[0].now;
  lending.take({2, 99}, 0, Octets(12, 0), now);
  lending.take({2, 99}, 0, Octets(40, 255), now);
  lending.take({2, 99}, 77, workers[0].line(0).sent[0].message, now);
  lending.take({2, 99}, 0, Octets(4000, 0), now);
  CHECK(lending.empty());
  CHECK(workers[0].line(0).sent.size() == sent);
}

TEST_CASE("a worker does not pass a guest on to a third") {
  Workers workers(3);
  workers.connect_first();
  workers.learn(1);
  workers[1].ask("own.example");
  workers.serve();
  const std::size_t sent = workers[0].line(0).sent.size();
  workers[1].forwarder.lending().take({3, 1}, 0, workers[0].line(0).sent[0].message, workers[1].now);
  CHECK(workers[1].forwarder.lending().empty());
  workers.deliver();
  CHECK(workers[0].line(0).sent.size() == sent);
}

TEST_CASE("where only an error is left, an upstream in trouble is asked through a sibling that has a connection") {
  Workers workers;
  RelayFixture& lender = workers[0];
  RelayFixture& borrower = workers[1];
  lender.warm_up_second();
  Health first(lender.health[0]);
  Health second(lender.health[1]);
  first.on_proof(first.epoch(), lender.now);
  second.on_trouble(Trouble::unreachable, "connection refused", second.epoch(), lender.now, lender.random);
  const auto client = borrower.ask("www.example");
  borrower.ready(0);
  borrower.answer(0, 0, 2);
  CHECK_FALSE(borrower.answered(client));
  workers.deliver();
  REQUIRE(lender.line(1).sent.size() == 2);
  lender.answer(1, 1);
  workers.deliver();
  CHECK(borrower.rcode(client) == 0);
}

TEST_CASE("errors and answers without a question come through a sibling as they are") {
  Workers workers(2, {1});
  workers.connect_first();
  workers.learn(1);
  const auto client = workers[1].ask("www.example");
  workers.deliver();
  workers[0].receive(0, header_only(workers[0].line(0).sent.back(), 1));
  workers.deliver();
  // FORMERR: the borrower asks again without EDNS, on the same way.
  workers.served = workers[0].line(0).sent.size() - 1;
  CHECK(workers[1].count(Counter::upstream_without_edns) == 1);
  workers.serve();
  CHECK(workers[1].rcode(client) == 0);
}

}  // namespace
}  // namespace dotrelay::test
