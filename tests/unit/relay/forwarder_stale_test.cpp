// Stale answers (RFC 8767): only when no upstream is usable, or none answers in time; and the first good answer ends
// them.
#include "cached_relay.hpp"

namespace dotrelay::test {
namespace {

constexpr std::size_t kSize = 256 << 10;
constexpr unsigned kServfail = 2, kNxdomain = 3;

/// A relay that keeps an answer whose life has just ended.
struct StaleRelay : CachedRelay {
  explicit StaleRelay(const CacheBlock& block) : CachedRelay(block) {
    fetch("www.example", 60);
    end(0);
    advance(seconds(61));
  }

  /// The upstream is in trouble, as a query for another name has found out.
  void lose_upstream() {
    ask("other.example");
    refuse_all();
  }
};

const std::string kStaleAnswer =
    "1234 response rd ra NOERROR\n"
    "question www.example. A IN\n"
    "answer www.example. 5 A IN c0000201\n"
    "opt 1232\n"
    "option 15 0003\n";

TEST_CASE("while no upstream is usable a stale answer comes at once, with a TTL of 5 s and EDE 3") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  relay.lose_upstream();
  CHECK(relay.got(relay.ask("www.example")) == kStaleAnswer);
  CHECK(relay.got(relay.ask("www.example", {.edns = false})) ==
        "1234 response rd ra NOERROR\nquestion www.example. A IN\nanswer www.example. 5 A IN c0000201\n");
  CHECK(relay.count(Counter::cache_stale) == 2);
  CHECK(relay.count(Counter::failed) == 0);
}

TEST_CASE("a stale NXDOMAIN says EDE 19") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.ask("no.example");
  relay.ready(0);
  relay.answer_with(negative_answer(relay.latest_query(), kNxdomain, 60, 60));
  relay.end(0);
  relay.advance(seconds(61));
  relay.ask("other.example");
  relay.refuse_all();
  const std::string got = relay.got(relay.ask("no.example"));
  CHECK(contains(got, "NXDOMAIN\n"));
  CHECK(contains(got, "authority example. 5 SOA"));
  CHECK(contains(got, "option 15 0013\n"));
}

TEST_CASE("the refresh goes on meanwhile, and the first good answer replaces the stale one") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  relay.lose_upstream();
  relay.ask("www.example");
  CHECK(relay.count(Counter::cache_refreshes) == 1);
  relay.advance(milliseconds(300));
  REQUIRE(relay.upstreams.lines.back().state == Connection::State::connecting);
  relay.ready(relay.upstreams.lines.size() - 1);
  for (const SentQuery& query : std::vector<SentQuery>(relay.upstreams.lines.back().sent))
    relay.answer_with(answer_with_ttl(query, 60));
  CHECK(contains(relay.got(relay.ask("www.example")), "answer www.example. 60 A"));
}

TEST_CASE("an upstream that is usable has 1.8 s to answer") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  const auto client = relay.ask("www.example");
  const auto other = relay.ask("WWW.example", {.id = 2});
  relay.ready(1);
  relay.advance(milliseconds(1790));
  CHECK_FALSE(relay.answered(client));
  relay.advance(milliseconds(20));
  CHECK(relay.got(client) == kStaleAnswer);
  CHECK(contains(relay.got(other), "0002 response rd ra NOERROR\nquestion WWW.example. A IN\n"));
  SUBCASE("a fresh answer that comes later is kept") {
    relay.advance(seconds(1));
    relay.receive(1, answer_with_ttl(relay.line(1).sent.back(), 60));
    CHECK(contains(relay.got(relay.ask("www.example")), "answer www.example. 60 A"));
    CHECK(relay.client(client).answers.size() == 1);
  }
  SUBCASE("when none comes at all, the query ends") {
    CHECK(relay.forwarder.idle());  // nothing that a drain waits for
    relay.advance(seconds(6));
    CHECK(relay.forwarder.idle());
    CHECK(relay.client(client).answers.size() == 1);
    CHECK(relay.count(Counter::failed) == 0);
  }
}

TEST_CASE("a fresh answer in time is the one that clients get") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  const auto client = relay.ask("www.example");
  relay.ready(1);
  relay.advance(milliseconds(500));
  relay.answer_with(answer_with_ttl(relay.latest_query(), 60));
  CHECK(contains(relay.got(client), "answer www.example. 60 A"));
  relay.advance(seconds(5));
  CHECK(relay.client(client).answers.size() == 1);
  CHECK(relay.count(Counter::cache_stale) == 0);
}

TEST_CASE("an error of the upstream is told as it is, and does not replace the stale answer") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  const auto client = relay.ask("www.example");
  relay.ready(1);
  relay.answer_with(answer_to(relay.latest_query(), kServfail));
  if (!relay.answered(client)) relay.answer_with(answer_to(relay.latest_query(), kServfail));
  CHECK(relay.rcode(client) == kServfail);
  relay.end(1);
  relay.lose_upstream();
  CHECK(relay.got(relay.ask("www.example")) == kStaleAnswer);
}

TEST_CASE("what is older than `stale` allows is no answer any more") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  relay.advance(std::chrono::minutes(61));
  relay.lose_upstream();
  const auto client = relay.ask("www.example");
  relay.refuse_all();
  relay.advance(seconds(4));
  CHECK(relay.rcode(client) == kServfail);
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): connection timed out");
}

TEST_CASE("unknown names get SERVFAIL with the cause, as without a cache") {
  const CacheBlock block(kSize);
  StaleRelay relay(block);
  relay.lose_upstream();
  const auto client = relay.ask("new.example");
  relay.refuse_all();
  relay.advance(seconds(4));
  CHECK(relay.rcode(client) == kServfail);
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): connection timed out");
}

TEST_CASE("stale answers may be switched off") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.config.cache.stale = Duration{};
  Forwarder forwarder(relay.environment, relay.health);
  relay.fetch("www.example", 60);
  relay.end(0);
  relay.advance(seconds(61));
  const Octets query = MessageBuilder(7).question("www.example");
  const Accepted accepted = forwarder.accept(
      {.message = query, .source = {}, .transport = {}, .channel = &relay.channel, .client = {77, 0}}, relay.now);
  CHECK(accepted.kind == Accepted::Kind::waiting);
}

TEST_CASE("a half of the deadline counts where that is less than 1.8 s") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.config.relay.deadline = seconds(2);
  relay.fetch("www.example", 60);
  relay.end(0);
  relay.advance(seconds(61));
  const auto client = relay.ask("www.example");
  relay.ready(1);
  relay.advance(milliseconds(990));
  CHECK_FALSE(relay.answered(client));
  relay.advance(milliseconds(20));
  CHECK(relay.got(client) == kStaleAnswer);
}

}  // namespace
}  // namespace dotrelay::test
