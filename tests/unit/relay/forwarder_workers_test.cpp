// Workers that share what is known of an upstream: an upstream that works is used again by all of them, whoever found
// out.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

/// Two workers of one relay, with two upstreams if nothing else is said.
struct Workers {
  explicit Workers(std::initializer_list<std::size_t> addresses_of_upstreams = {1, 1}) : one(addresses_of_upstreams) {}

  RelayFixture one;
  RelayFixture two{one, 2};

  void advance(Duration duration) {
    for (const TimePoint until = one.now + duration; one.now < until;) {
      one.advance(milliseconds(10));
      two.advance(milliseconds(10));
    }
  }
};

/// Answers what has been sent there and is not answered yet.
void serve(RelayFixture& relay, std::size_t upstream, bool make_ready = true) {
  for (std::size_t i = 0; i < relay.upstreams.lines.size(); ++i) {
    Line& line = relay.line(i);
    if (line.upstream != upstream || line.gone) continue;
    if (make_ready && line.state == Connection::State::connecting) relay.ready(i);
    const std::vector<SentQuery> sent = line.sent;
    for (const SentQuery& query : sent) {
      const auto owed = line.reserved.find(query.id());
      if (!line.gone && owed != line.reserved.end() && owed->second == query.question())
        relay.receive(i, answer_to(query));
    }
  }
}

std::size_t sent(const RelayFixture& relay, std::size_t upstream) {
  std::size_t count = 0;
  for (const Line& line : relay.upstreams.lines) count += line.upstream == upstream ? line.sent.size() : 0;
  return count;
}

/// Worker one was refused by the first upstream after worker two had dialled it: so worker two's connection is from
/// before the trouble. Its answers are always later than the second upstream's.
void begin_trouble(Workers& workers) {
  workers.two.ask("www.example");
  workers.one.ask("www.example");
  workers.one.refuse(0);
  workers.one.ready(1);
  workers.one.answer(1);
  workers.advance(milliseconds(160));
  workers.two.ready(1);
  workers.two.answer(1);
  workers.two.ready(0);
}

TEST_CASE("an upstream that answers is used again, also on a connection from before its trouble and by all workers") {
  Workers workers;
  begin_trouble(workers);
  std::size_t before_one = 0;
  std::size_t before_two = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 50) {
      before_one = sent(workers.one, 1);
      before_two = sent(workers.two, 1);
    }
    const std::string name = "n" + std::to_string(i) + ".example";
    workers.one.ask(name);
    workers.two.ask(name);
    for (RelayFixture* worker : {&workers.one, &workers.two}) {
      serve(*worker, 1);
      serve(*worker, 0);
    }
    workers.advance(milliseconds(100));
  }
  CHECK(sent(workers.one, 1) == before_one);
  CHECK(sent(workers.two, 1) == before_two);
  CHECK(workers.one.upstreams.dials(0) + workers.two.upstreams.dials(0) <= 4);
  CHECK_FALSE(Health(workers.one.health[0]).in_trouble());
}

TEST_CASE("an old connection that answers does not hide that new ones fail, and is used") {
  Workers workers;
  RelayFixture& old = workers.two;
  const auto first = old.ask("www.example");
  old.ready(0);
  old.answer(0);
  CHECK(old.rcode(first) == 0);
  const auto other = workers.one.ask("www.example");
  workers.one.end(0, CloseKind::authentication, "certificate expired");
  workers.one.ready(1);
  workers.one.answer(1);
  CHECK(workers.one.rcode(other) == 0);
  std::size_t dials = 1;
  for (int i = 0; i < 300; ++i) {
    const auto client = old.ask("n" + std::to_string(i) + ".example");
    old.answer_latest(0);
    CHECK(old.rcode(client) == 0);
    workers.advance(milliseconds(100));
    for (; dials < old.upstreams.lines.size(); ++dials) {
      CHECK(old.line(dials).upstream == 0);
      old.end(dials, CloseKind::authentication, "certificate expired");
    }
  }
  CHECK(sent(old, 1) == 0);
  CHECK(Health(old.health[0]).trouble() == Trouble::authentication);
  CHECK(dials >= 6);  // in 30 s, with a back-off up to 5 s
  CHECK(dials <= 12);
  CHECK(contains(workers.one.logged(), "certificate expired"));
  CHECK_FALSE(contains(old.logged(), "certificate expired"));  // all know already
  // The certificate is renewed: a new connection and answers that come are the proof.
  for (int i = 0; i < 70 && Health(old.health[0]).in_trouble(); ++i) {
    old.ask("m" + std::to_string(i) + ".example");
    serve(old, 0);
    workers.advance(milliseconds(100));
  }
  CHECK(contains(old.logged(), "works again"));
  workers.one.ask("last.example");
  CHECK(workers.one.upstreams.dials(0) == 2);
}

TEST_CASE(
    "an address in trouble that refuses more connections beside its old one is not dialled for load over and over") {
  Workers workers;
  RelayFixture& old = workers.two;
  old.warm_up();
  Health(old.health[0]).on_trouble(Trouble::unreachable, "connection refused", 0, old.now, old.random);
  for (int i = 0; i < 400; ++i) {
    old.ask("n" + std::to_string(i) + ".example");
    old.refuse_all();
  }
  CHECK(old.upstreams.lines.size() <= 4);
}

TEST_CASE("a dial that began before an answer proved that the upstream works tells nothing new when it fails") {
  Workers workers({1});
  workers.one.ask("www.example");
  workers.one.refuse(0);
  workers.advance(milliseconds(1));
  workers.two.ask("www.example");
  workers.advance(milliseconds(210));
  // The next dial that is due is worker two's.
  workers.two.advance(milliseconds(210));
  workers.one.advance(milliseconds(210));
  REQUIRE(workers.one.upstreams.lines.size() == 2);
  REQUIRE(workers.two.upstreams.lines.size() >= 1);
  workers.one.ready(1);
  workers.one.answer(1);
  REQUIRE_FALSE(Health(workers.one.health[0]).in_trouble());
  const std::size_t begun_before = workers.two.upstreams.lines.size();
  for (std::size_t i = 0; i < begun_before; ++i) workers.two.refuse(i);
  CHECK_FALSE(Health(workers.one.health[0]).in_trouble());
  // The next one fails, too: that is news.
  REQUIRE(workers.two.upstreams.lines.size() == begun_before + 1);
  workers.two.refuse(begun_before);
  CHECK(Health(workers.one.health[0]).in_trouble());
}

TEST_CASE("a late answer shows that its connection works") {
  RelayFixture relay({1, 1}, 1, 1.0);
  relay.ask("www.example");
  relay.ready(0);
  relay.advance(milliseconds(150));
  relay.ready(1);
  relay.answer(1);
  relay.answer(0);
  CHECK(relay.count(Counter::upstream_late) == 1);
  Health(relay.health[0]).on_trouble(Trouble::unreachable, "connection refused", 0, relay.now, relay.random);
  relay.ask("next.example");
  CHECK(relay.line(0).sent.size() == 2);
  CHECK(relay.line(1).sent.size() == 1);
}

/// Four workers with one upstream, whose dials take their time. Clients ask all of them all the time.
struct Crowd {
  explicit Crowd(Duration connect, Duration handshake) : connect(connect), handshake(handshake) {}

  Duration connect;  ///< until TCP is connected
  Duration handshake;
  bool refuses = false;
  RelayFixture one;
  RelayFixture two{one, 2}, three{one, 3}, four{one, 4};
  std::vector<RelayFixture*> all{&one, &two, &three, &four};
  std::map<const Line*, TimePoint> dialled_at;
  std::size_t most_open = 0;
  std::vector<std::uint32_t> latest{0, 0, 0, 0};

  [[nodiscard]] std::size_t dials() const { return dialled_at.size(); }

  void live(Duration duration) {
    for (const TimePoint until = one.now + duration; one.now < until;) {
      std::size_t open = 0;
      for (std::size_t w = 0; w < all.size(); ++w) {
        RelayFixture& worker = *all[w];
        if (worker.now.time_since_epoch() % milliseconds(100) == Duration{}) {
          latest[w] = worker.ask("n" + std::to_string(worker.now.time_since_epoch().count()) + ".example");
        }
        for (std::size_t i = 0; i < worker.upstreams.lines.size(); ++i) progress(worker, i);
        serve_ready(worker);
        worker.advance(milliseconds(10));
        open += worker.upstreams.open();
      }
      most_open = std::max(most_open, open);
    }
  }

  void progress(RelayFixture& worker, std::size_t i) {
    Line& line = worker.line(i);
    const TimePoint begun = dialled_at.emplace(&line, worker.now).first->second;
    if (line.gone || line.state == Connection::State::ready || worker.now < begun + connect) return;
    if (refuses) return worker.refuse(i);
    line.state = Connection::State::handshaking;
    if (worker.now >= begun + connect + handshake) worker.ready(i);
  }

  static void serve_ready(RelayFixture& worker) {
    for (const Line& line : worker.upstreams.lines) {
      if (!line.gone && line.state == Connection::State::ready) return serve(worker, 0, false);
    }
  }
};

TEST_CASE("an upstream whose handshakes take three seconds: few dials, and queries are answered once it is ready") {
  Crowd crowd(milliseconds(20), seconds(3));
  crowd.live(seconds(12));
  CHECK(crowd.dials() <= 4 + 12);
  CHECK(crowd.most_open <= 8);
  for (std::size_t w = 0; w < 4; ++w) CHECK(crowd.all[w]->answered(crowd.latest[w]));
}

TEST_CASE("an upstream that refuses is dialled every 200 ms by all workers together, and its return shows at once") {
  Crowd crowd(milliseconds(10), milliseconds(20));
  crowd.refuses = true;
  crowd.live(seconds(3));
  const std::size_t before = crowd.dials();
  crowd.live(seconds(2));
  CHECK(crowd.dials() - before >= 8);
  CHECK(crowd.dials() - before <= 11);
  crowd.refuses = false;
  crowd.live(milliseconds(200 + 30 + 40 + 30));
  for (RelayFixture* worker : crowd.all) {
    CHECK(std::ranges::any_of(worker->upstreams.lines, [](const Line& line) { return !line.sent.empty(); }));
  }
}

}  // namespace
}  // namespace dotrelay::test
