// Zones in a whole relay: queries of a zone go to its upstreams in its order, and whatever happens to no other one.
// Each test ends with a look at all that was sent.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr unsigned kServfail = 2, kNxdomain = 3, kRefused = 5;

/// Up3 is for zones only. corp.example is at up3, then up2; solo.example at up4 alone; all else at up1, up2, up4.
Config zones_config() {
  Config config = relay_config({1, 1, 1, 1}, 1);
  config.upstreams[2].zone_only = true;
  config.zones.resize(3);
  config.zones[0].names = {{"corp.example", {}}};
  config.zones[0].upstreams = {{"up3", {}}, {"up2", {}}};
  config.zones[1].names = {{"solo.example", {}}};
  config.zones[1].upstreams = {{"up4", {}}};
  config.zones[2].names = {{"no.example", {}}};
  config.zones[2].answer = ZoneAnswer::nxdomain;
  return config;
}

class ZonesFixture : public RelayFixture {
 public:
  explicit ZonesFixture(SiblingMail* mail = nullptr, std::size_t number = 0)
      : RelayFixture(zones_config(), mail, number) {}
  ZonesFixture(const ZonesFixture& sibling, SiblingMail* mail, std::size_t number)
      : RelayFixture(sibling, mail, number) {}
  ZonesFixture(const ZonesFixture&) = delete;

  ~ZonesFixture() {
    for (const Line& line : upstreams.lines) {
      for (const SentQuery& query : line.sent) {
        CAPTURE(line.upstream);
        CAPTURE(to_hex(query.question()));
        CHECK(may_serve(query).contains(line.upstream));
      }
    }
  }

  /// Which upstreams may see it, found without the relay's code.
  static UpstreamMask may_serve(const SentQuery& query) {
    Octets question = query.question();
    std::ranges::transform(question, question.begin(), dns::fold_case);
    const auto is_in = [&](const std::string& zone) {
      const Octets suffix = name(zone);
      return question.size() >= suffix.size() + 4 &&
             std::equal(suffix.begin(), suffix.end(), question.end() - 4 - static_cast<std::ptrdiff_t>(suffix.size()));
    };
    if (is_in("corp.example")) return UpstreamMask::first(3) - UpstreamMask(0);
    if (is_in("solo.example")) return UpstreamMask(3);
    return UpstreamMask::first(4) - UpstreamMask(2);
  }

  /// All upstreams are connected and have answered, up1 to up4 on lines 0 to 3.
  void connect_all() {
    ask("warm.example");
    ready(0);
    answer(0);
    ask("warm.corp.example");
    ready(1);
    REQUIRE(line(1).upstream == 2);
    answer(1);
    ask("warm.solo.example");
    ready(2);
    answer(2);
    for (const std::size_t i : {0U, 1U, 2U}) served_[i] = 1;
  }

  /// Messages that the upstream has got.
  [[nodiscard]] std::size_t got_by(std::size_t upstream) const {
    std::size_t count = 0;
    for (const Line& line : upstreams.lines) count += line.upstream == upstream ? line.sent.size() : 0;
    return count;
  }

  /// Its dials become ready, and it answers all that it has got.
  void serve(std::size_t upstream, unsigned rcode = 0) {
    for (std::size_t i = 0; i < upstreams.lines.size(); ++i) {
      if (line(i).upstream != upstream || line(i).gone) continue;
      if (line(i).state == Connection::State::connecting) ready(i);
      while (!line(i).gone && served_[i] < line(i).sent.size()) answer(i, served_[i]++, rcode);
    }
  }

  /// The latest dial to the upstream.
  std::size_t latest_line(std::size_t upstream) {
    std::size_t found = upstreams.lines.size();
    for (std::size_t i = 0; i < upstreams.lines.size(); ++i) found = line(i).upstream == upstream ? i : found;
    REQUIRE(found < upstreams.lines.size());
    return found;
  }

 private:
  std::map<std::size_t, std::size_t> served_;  ///< queries of each line
};

TEST_CASE("each name goes to the first upstream of its zone") {
  ZonesFixture relay;
  const auto corp = relay.ask("www.Corp.Example");
  const auto solo = relay.ask("solo.example");
  const auto other = relay.ask("www.example");
  REQUIRE(relay.upstreams.lines.size() == 3);
  CHECK(relay.line(0).upstream == 2);
  CHECK(relay.line(1).upstream == 3);
  CHECK(relay.line(2).upstream == 0);
  for (const std::size_t i : {0U, 1U, 2U}) {
    relay.ready(i);
    relay.answer(i);
  }
  for (const auto client : {corp, solo, other}) CHECK(relay.rcode(client) == 0);
}

TEST_CASE("failover of connections: the next of the zone, then the cause, which names its upstreams in its order") {
  ZonesFixture relay;
  relay.connect_all();
  relay.end(1);
  const auto client = relay.ask("www.corp.example");
  relay.refuse(relay.latest_line(2));
  REQUIRE(relay.upstreams.dials(1) == 1);
  SUBCASE("which answers") {
    relay.ready(relay.latest_line(1));
    relay.answer(relay.latest_line(1));
    CHECK(relay.rcode(client) == 0);
  }
  SUBCASE("which fails as well") {
    for (int i = 0; i < 100 && !relay.answered(client); ++i) {
      relay.refuse_all();
      relay.advance(milliseconds(50));
    }
    CHECK(relay.rcode(client) == kServfail);
    CHECK(relay.explanation(client) ==
          "22 up3 (192.0.2.3:853): connection refused; up2 (192.0.2.2:853): connection refused");
    CHECK(contains(relay.logged(), "no upstream among up2, up3 is usable, clients get SERVFAIL: up3 "));
  }
  CHECK(relay.got_by(0) == 1);
  CHECK(relay.got_by(3) == 1);
}

TEST_CASE("with one upstream nothing else is asked, however long it is silent") {
  ZonesFixture relay;
  relay.connect_all();
  const auto client = relay.ask("www.solo.example");
  relay.advance(seconds(5));
  CHECK(relay.rcode(client) == kServfail);
  CHECK(relay.explanation(client) == "22 up4 (192.0.2.4:853): no answer in time");
  CHECK(relay.got_by(0) == 1);
  CHECK(relay.got_by(1) == 0);
  CHECK(relay.got_by(2) == 1);
}

TEST_CASE("late answers: the next of the zone is asked as well, and no other, with all the budget for hedging") {
  ZonesFixture relay;
  relay.connect_all();
  const auto client = relay.ask("www.corp.example");
  for (int i = 0; i < 60 && relay.got_by(1) == 0; ++i) {
    relay.advance(milliseconds(50));
    if (relay.upstreams.dials(1) == 1 && relay.line(3).state == Connection::State::connecting) relay.ready(3);
  }
  REQUIRE(relay.got_by(1) == 1);
  relay.answer(3);
  CHECK(relay.rcode(client) == 0);
  CHECK(relay.got_by(0) == 1);
  CHECK(relay.got_by(3) == 1);
}

TEST_CASE("errors: the second opinion comes from the zone") {
  ZonesFixture relay;
  relay.connect_all();
  SUBCASE("where there is a second") {
    const auto client = relay.ask("www.corp.example");
    relay.answer_latest(1, kRefused);
    relay.ready(relay.latest_line(1));
    relay.answer(relay.latest_line(1), 0, kNxdomain);
    CHECK(relay.rcode(client) == kNxdomain);
  }
  SUBCASE("where there is none, the error is the answer") {
    const auto client = relay.ask("www.solo.example");
    relay.answer_latest(2, kRefused);
    if (!relay.answered(client)) relay.answer_latest(2, kRefused);  // asked once more without EDNS
    CHECK(relay.rcode(client) == kRefused);
  }
  CHECK(relay.got_by(0) == 1);
}

TEST_CASE("trials: an upstream in trouble is dialled and gets copies for its zone's queries, and for no others") {
  ZonesFixture relay;
  relay.connect_all();
  relay.end(1);
  relay.ask("www.corp.example");
  relay.refuse(relay.latest_line(2));
  relay.serve(1);
  REQUIRE(contains(relay.logged(), "up3 (192.0.2.3:853): connection refused"));
  const auto ask_for_a_while = [&](const std::string& zone) {
    for (int i = 0; i < 10; ++i) {
      relay.ask("n" + std::to_string(i) + zone);
      for (const std::size_t upstream : {0, 1, 3}) relay.serve(upstream);
      relay.advance(milliseconds(300));
    }
  };
  const std::size_t dials = relay.upstreams.dials(2);
  ask_for_a_while(".example");
  ask_for_a_while(".solo.example");
  CHECK(relay.upstreams.dials(2) == dials);
  ask_for_a_while(".corp.example");
  REQUIRE(relay.upstreams.dials(2) > dials);
  const std::size_t trial = relay.latest_line(2);
  relay.ready(trial);
  relay.ask("a.example");
  CHECK(relay.line(trial).sent.empty());
  const std::size_t before = relay.got_by(1);
  relay.ask("a.corp.example");
  CHECK(relay.line(trial).sent.size() == 1);
  CHECK(relay.got_by(1) == before + 1);
  CHECK(relay.count(Counter::upstream_trials) == 1);
}

TEST_CASE("waiting: a query of a zone does not go to what others have got meanwhile, nor do they to what it has") {
  ZonesFixture relay;
  const auto solo = relay.ask("www.solo.example");
  const auto other = relay.ask("www.example");
  SUBCASE("the common upstream becomes usable") {
    relay.ready(1);
    relay.answer(1);
    CHECK(relay.answered(other));
    relay.advance(seconds(1));
    CHECK_FALSE(relay.answered(solo));
    CHECK(relay.line(0).sent.empty());
    relay.ready(relay.latest_line(3));
    relay.answer(relay.latest_line(3));
    CHECK(relay.rcode(solo) == 0);
  }
  SUBCASE("an upstream of zones becomes usable") {
    const auto corp = relay.ask("www.corp.example");
    REQUIRE(relay.line(2).upstream == 2);
    relay.ready(2);
    relay.answer(2);
    CHECK(relay.answered(corp));
    CHECK_FALSE(relay.answered(other));
    CHECK_FALSE(relay.answered(solo));
    CHECK(relay.line(2).sent.size() == 1);
  }
}

TEST_CASE("an outage of one zone shortens no other name's wait") {
  ZonesFixture relay;
  relay.connect_all();
  relay.end(2);
  for (int i = 0; i < 300; ++i) {
    if (i % 20 == 0) relay.ask("o" + std::to_string(i) + ".solo.example");
    relay.refuse_all();
    relay.advance(milliseconds(50));
  }
  const auto solo = relay.ask("late.solo.example");
  const auto corp = relay.ask("late.corp.example");
  relay.answer_latest(relay.latest_line(2));
  CHECK(relay.rcode(corp) == 0);
  for (int i = 0; i < 22; ++i) {
    relay.refuse_all();
    relay.advance(milliseconds(50));
  }
  CHECK(relay.rcode(solo) == kServfail);
}

TEST_CASE("a connection that dies takes its queries to the zone's other upstream") {
  ZonesFixture relay;
  relay.connect_all();
  const auto client = relay.ask("www.corp.example");
  relay.end(1);
  relay.refuse(relay.latest_line(2));
  relay.ready(relay.latest_line(1));
  relay.answer(relay.latest_line(1));
  CHECK(relay.rcode(client) == 0);
  CHECK(relay.got_by(0) == 1);
  CHECK(relay.got_by(3) == 1);
}

TEST_CASE("local names are answered at once, and nothing is dialled for them") {
  ZonesFixture relay;
  CHECK(relay.rcode(relay.ask("printer.local")) == kNxdomain);
  CHECK(relay.rcode(relay.ask("1.0.0.10.in-addr.arpa", {.type = 12})) == kNxdomain);
  CHECK(relay.rcode(relay.ask("10.in-addr.arpa", {.type = 6})) == 0);
  CHECK(relay.rcode(relay.ask("x.no.example")) == kNxdomain);
  CHECK(relay.rcode(relay.ask("localhost")) == 0);
  CHECK(relay.upstreams.lines.empty());
  CHECK(relay.count(Counter::answered_locally) == 5);
  relay.ask("10.in-addr.arpa", {.type = 43});
  CHECK(relay.upstreams.lines.size() == 1);
}

TEST_CASE("the same name with other options, or in another case, is in the same zone") {
  ZonesFixture relay;
  relay.connect_all();
  relay.ask("same.corp.example");
  relay.ask("SAME.corp.example");
  relay.ask("same.corp.example", {.dnssec_ok = true});
  CHECK(relay.got_by(2) == 3);
}

TEST_CASE("through a sibling: the lender asks the upstream that the borrower meant") {
  SiblingMail mail(2, 4);
  ZonesFixture lender(&mail, 0);
  ZonesFixture borrower(lender, &mail, 1);
  lender.connect_all();
  const auto client = borrower.ask("www.corp.example");
  REQUIRE(borrower.line(0).upstream == 2);
  borrower.refuse(0);
  mail.deliver(lender.now);
  REQUIRE(borrower.count(Counter::passed_to_sibling) == 1);
  REQUIRE(lender.line(1).sent.size() == 2);
  CHECK(lender.line(1).upstream == 2);
  lender.answer_latest(1);
  mail.deliver(lender.now);
  CHECK(borrower.rcode(client) == 0);
  CHECK(lender.got_by(0) == 1);
  CHECK(lender.got_by(3) == 1);
}

}  // namespace
}  // namespace dotrelay::test
