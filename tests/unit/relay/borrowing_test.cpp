// Ways through siblings: when a worker that is refused sends its queries through another one, and what it learns.
#include "relay/borrowing.hpp"

#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// Worker 1 of two, and what worker 2 says of its connections to the one address.
class Refused final : private Siblings {
 public:
  void sibling_connects(TimePoint since) { sibling.publish(0, since, kNever); }
  void sibling_dials(TimePoint since) { sibling.publish(0, kNever, since); }
  void sibling_has_none() { sibling.publish(0, kNever, kNever); }
  /// A dial that began just now is refused.
  bool refuse() {
    now += milliseconds(5);
    return borrowing.on_refused({0, 0}, now - milliseconds(5), "connection refused", now);
  }
  UpstreamAddress& address() { return set.address({0, 0}); }

  Config config = relay_config({1}, 0);
  TimePoint now{std::chrono::hours(1)};
  Random random{1};
  Counters counters;
  Log log{LogLevel::error, "worker 1", -1};
  std::vector<SharedWord> memory_words = std::vector<SharedWord>(1);
  MemoryBudget memory{memory_words, 0, 64};
  FakeUpstreams dialer;
  std::vector<SharedHealth> health = std::vector<SharedHealth>(1);
  std::vector<WorkerConnections> words = std::vector<WorkerConnections>(2);
  SharedConnections sibling{words, 1, 2};
  Environment environment{config, dialer, counters, memory, log, random, this};
  UpstreamSet set{config.upstreams, health, SharedConnections(words, 0, 2), environment.patience(), random};
  Borrowing borrowing{environment, set};
  std::deque<Line> ways;  ///< through worker 2
  std::vector<std::uint16_t> lenders;

 private:
  std::unique_ptr<Connection> connect(std::uint16_t worker, std::size_t, ConnectionHandle) override {
    lenders.push_back(worker);
    Line& line = ways.emplace_back();
    line.state = Connection::State::ready;
    return std::make_unique<FakeConnection>(line);
  }
  void answer(const Borrower&, Bytes) override {}
  void close(const Borrower&, bool) override {}
};

TEST_CASE("nothing is borrowed before a dial was refused, whatever siblings have") {
  Refused worker;
  worker.sibling_connects(worker.now);
  CHECK_FALSE(worker.borrowing.must_borrow({0, 0}, worker.now));
  CHECK_FALSE(worker.borrowing.may_borrow({0, 0}, worker.now));
  CHECK_FALSE(worker.borrowing.must_look());
}

TEST_CASE("a refusal where no sibling has a connection is the address's trouble") {
  Refused worker;
  CHECK_FALSE(worker.refuse());
}

TEST_CASE("a refusal beside a sibling's connection is none: its way is used, and a second one is learned as a limit") {
  Refused worker;
  worker.sibling_connects(worker.now - seconds(1));
  CHECK(worker.refuse());
  CHECK(worker.borrowing.must_borrow({0, 0}, worker.now));
  CHECK_FALSE(worker.borrowing.limited({0, 0}, worker.now));
  CHECK(worker.refuse());
  CHECK(worker.borrowing.limited({0, 0}, worker.now));
  CHECK(worker.counters.get(Counter::upstream_limited) == 2);
  // Known for longer than a refusal counts.
  CHECK(worker.borrowing.must_borrow({0, 0}, worker.now + seconds(1)));
}

TEST_CASE("while a sibling dials, a refused worker waits for it") {
  Refused worker;
  worker.sibling_dials(worker.now);
  CHECK(worker.refuse());
  CHECK(worker.borrowing.awaits_dial({0, 0}, worker.now));
  CHECK_FALSE(worker.borrowing.must_borrow({0, 0}, worker.now));
  CHECK(worker.borrowing.must_look());
  CHECK(worker.borrowing.awaits_sibling(worker.now));
  const TimePoint over = worker.address().refused_until;
  CHECK(worker.borrowing.awaits_sibling(over));  // once more when it is over
  CHECK_FALSE(worker.borrowing.awaits_sibling(over));
}

TEST_CASE("a sibling that dials excuses one refusal: those that follow are the address's trouble") {
  Refused worker;
  worker.sibling_dials(worker.now);
  CHECK(worker.refuse());
  CHECK_FALSE(worker.refuse());
  CHECK(worker.borrowing.awaits_dial({0, 0}, worker.now));
}

TEST_CASE("a limit is forgotten when no sibling has a connection any more") {
  Refused worker;
  worker.sibling_connects(worker.now - seconds(1));
  CHECK(worker.refuse());
  CHECK(worker.refuse());
  REQUIRE(worker.borrowing.limited({0, 0}, worker.now));
  worker.sibling_has_none();
  CHECK_FALSE(worker.borrowing.limited({0, 0}, worker.now));
  CHECK_FALSE(worker.refuse());
  worker.sibling_connects(worker.now);
  CHECK_FALSE(worker.borrowing.limited({0, 0}, worker.now));
}

TEST_CASE("an own dial that is slow in coming may be helped out by a sibling, which need not be") {
  Refused worker;
  worker.sibling_connects(worker.now);
  const ConnectionHandle dial = worker.set.add({0, 0}, worker.now);
  CHECK_FALSE(worker.borrowing.may_borrow({0, 0}, worker.now));
  const TimePoint slow = worker.set.connections().get(dial).slow_at;
  CHECK(worker.borrowing.may_borrow({0, 0}, slow));
  CHECK_FALSE(worker.borrowing.must_borrow({0, 0}, slow));
}

TEST_CASE("a way can be used at once; there is one through each sibling") {
  Refused worker;
  worker.sibling_connects(worker.now - seconds(1));
  worker.refuse();
  worker.borrowing.borrow({0, 0}, worker.now);
  CHECK(worker.lenders == std::vector<std::uint16_t>{2});
  const std::vector<ConnectionHandle> borrowed = worker.set.borrowed({0, 0});
  REQUIRE(borrowed.size() == 1);
  CHECK(worker.set.connections().get(borrowed[0]).standing(worker.now) == Standing::borrowed);
  CHECK_FALSE(worker.borrowing.must_borrow({0, 0}, worker.now));
  worker.borrowing.borrow({0, 0}, worker.now);
  CHECK(worker.ways.size() == 1);
}

TEST_CASE("only an error is left: a sibling's connection to an address in trouble is used") {
  Refused worker;
  CHECK_FALSE(worker.borrowing.borrow_in_trouble(UpstreamMask(0), worker.now));
  worker.sibling_connects(worker.now);
  CHECK_FALSE(worker.borrowing.borrow_in_trouble(UpstreamMask(0), worker.now));
  worker.address().health.on_trouble(Trouble::timed_out, "connection timed out", worker.address().health.epoch(),
                                     worker.now, worker.random);
  CHECK_FALSE(worker.borrowing.borrow_in_trouble(UpstreamMask(), worker.now));
  CHECK(worker.borrowing.borrow_in_trouble(UpstreamMask(0), worker.now));
  CHECK(worker.ways.size() == 1);
}

TEST_CASE("a passed query asks for an own connection again, not while the refusal is fresh") {
  Refused worker;
  worker.sibling_connects(worker.now - seconds(1));
  worker.refuse();
  CHECK_FALSE(worker.borrowing.on_passed({0, 0}, worker.now));
  worker.now = worker.address().refused_until;
  worker.address().last_dial = worker.now - Health::kUrgentInterval;
  CHECK(worker.borrowing.on_passed({0, 0}, worker.now));
  CHECK(worker.counters.get(Counter::passed_to_sibling) == 2);
  worker.set.add({0, 0}, worker.now);  // it dials
  CHECK_FALSE(worker.borrowing.on_passed({0, 0}, worker.now + seconds(1)));
}

}  // namespace
}  // namespace dotrelay::test
