// Answers from the cache: who may share one, how long, what each client gets of it, and what is never kept.
#include "cached_relay.hpp"

namespace dotrelay::test {
namespace {

constexpr std::size_t kSize = 256 << 10;
constexpr unsigned kServfail = 2, kNxdomain = 3;

TEST_CASE("the second client is answered at once, with its own ID and spelling, and TTLs that have gone on") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.fetch("www.example", 300);
  relay.advance(seconds(10));
  CHECK(relay.got(relay.ask("WWW.Example", {.id = 0x4321})) ==
        "4321 response rd ra NOERROR\n"
        "question WWW.Example. A IN\n"
        "answer WWW.Example. 290 A IN c0000201\n"
        "opt 1232\n");
  CHECK(relay.got(relay.ask("www.example", {.edns = false})) ==
        "1234 response rd ra NOERROR\n"
        "question www.example. A IN\n"
        "answer www.example. 290 A IN c0000201\n");
  CHECK(relay.sent() == 1);
  CHECK(relay.count(Counter::cache_hits) == 2);
  CHECK(relay.count(Counter::cache_misses) == 1);
  CHECK(relay.count(Counter::cache_kept) == 1);
  CHECK(relay.count(Counter::answers) == 3);
}

TEST_CASE("its end is its TTL's") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.fetch("www.example", 5);
  relay.advance(milliseconds(4900));
  CHECK(relay.answered(relay.ask("www.example")));
  relay.advance(milliseconds(200));
  CHECK_FALSE(relay.answered(relay.ask("www.example")));
}

TEST_CASE("what may change the answer parts questions") {
  const std::vector<std::pair<std::string, Ask>> others = {
      {"www.example.net", {}},
      {"www.example", {.type = 28}},
      {"www.example", {.flags = 0x0000}},
      {"www.example", {.flags = 0x0110}},
      {"www.example", {.flags = 0x0120}},
      {"www.example", {.dnssec_ok = true}},
      {"www.example", {.options = edns_option(3)}},
  };
  for (const auto& [qname, details] : others) {
    CAPTURE(qname);
    const CacheBlock block(kSize);
    CachedRelay relay(block);
    relay.fetch("www.example", 300);
    CHECK_FALSE(relay.answered(relay.ask(qname, details)));
  }
}

TEST_CASE(
    "a query without RD, or with an option that is carried upstream, is neither answered from the cache nor kept") {
  for (const Ask& details : {Ask{.flags = 0x0000}, Ask{.options = edns_option(3)}}) {
    const CacheBlock block(kSize);
    CachedRelay relay(block);
    relay.fetch("www.example", 300, details);
    CHECK_FALSE(relay.answered(relay.ask("www.example", details)));
    CHECK(relay.count(Counter::cache_kept) == 0);
    CHECK(relay.count(Counter::cache_misses) == 0);
  }
}

TEST_CASE("negative answers live as long as their SOA allows; without one they are not kept") {
  for (const unsigned rcode : {0U, kNxdomain}) {
    CAPTURE(rcode);
    const CacheBlock block(kSize);
    CachedRelay relay(block);
    relay.ask("no.example");
    relay.ready(0);
    relay.answer_with(negative_answer(relay.latest_query(), rcode, 300, 20));
    relay.advance(milliseconds(19'900));
    const auto client = relay.ask("no.example");
    CHECK(relay.rcode(client) == rcode);
    CHECK(contains(relay.got(client), "authority example. 1 SOA IN"));
    relay.advance(milliseconds(200));
    CHECK_FALSE(relay.answered(relay.ask("no.example")));
    relay.answer_with(answer_to(relay.latest_query(), rcode));
    CHECK_FALSE(relay.answered(relay.ask("no.example")));
    CHECK(relay.count(Counter::cache_unfit) == 1);
  }
}

TEST_CASE("a TTL of 0 and an answer with TC are not kept") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.fetch("www.example", 0);
  CHECK_FALSE(relay.answered(relay.ask("www.example")));
  Octets truncated = answer_with_ttl(relay.latest_query(), 300);
  truncated[2] |= 2;
  relay.answer_with(truncated);
  CHECK_FALSE(relay.answered(relay.ask("www.example")));
  CHECK(relay.count(Counter::cache_unfit) == 2);
  CHECK(relay.count(Counter::cache_kept) == 0);
}

TEST_CASE("max_ttl bounds what clients are told, and for how long") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.fetch("www.example", 604'800);
  relay.advance(seconds(1));
  CHECK(contains(relay.got(relay.ask("www.example")), "answer www.example. 86399 A"));
}

TEST_CASE("options of the hop are not kept, an Extended DNS Error is") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.ask("www.example");
  relay.ready(0);
  const Octets opt =
      opt_record({}, edns_option(15, u16(17)) + edns_option(12, Octets(300, 0)) + edns_option(10, Octets(16, 1)));
  relay.answer_with(answer_to(relay.latest_query(), 0, 1, record(pointer(12), 1, hex("c0000201")) + opt, 1));
  CHECK(relay.got(relay.ask("www.example")) ==
        "1234 response rd ra NOERROR\n"
        "question www.example. A IN\n"
        "answer www.example. 300 A IN c0000201\n"
        "opt 1232\n"
        "option 15 0011\n");
  CHECK(relay.got(relay.ask("www.example", {.edns = false})) ==
        "1234 response rd ra NOERROR\n"
        "question www.example. A IN\n"
        "answer www.example. 300 A IN c0000201\n");
}

TEST_CASE("each client's size and transport count") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.ask("www.example", {.tcp = true});
  relay.ready(0);
  Octets records;
  for (unsigned i = 0; i < 10; ++i) records = records + record(pointer(12), 16, u8(200) + Octets(200, 'x'), 300);
  relay.answer_with(answer_to(relay.latest_query(), 0, 10, records));
  relay.ask("www.example", {.type = 16});
  relay.answer_with(answer_to(relay.latest_query(), 0, 10, records));
  CHECK(contains(relay.got(relay.ask("www.example", {.type = 16})), " tc rd ra NOERROR"));
  const std::string whole = relay.got(relay.ask("www.example", {.type = 16, .tcp = true}));
  CHECK(std::ranges::count(whole, '\n') == 13);
}

TEST_CASE("a failure that both upstreams agree on is kept for a second, then two, at most five") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  const auto fail = [&] {
    const auto client = relay.ask("bad.example");
    if (relay.line(0).state == Connection::State::connecting) relay.ready(0);
    relay.answer_with(answer_to(relay.latest_query(), kServfail));
    // Without an OPT in the error it may be for the OPT: it is asked once more.
    if (!relay.answered(client)) relay.answer_with(answer_to(relay.latest_query(), kServfail));
    CHECK(relay.rcode(client) == kServfail);
  };
  for (const int lifetime : {1, 2, 4, 5, 5}) {
    CAPTURE(lifetime);
    fail();
    relay.advance(seconds(lifetime - 1));
    CHECK(relay.rcode(relay.ask("bad.example")) == kServfail);
    relay.advance(seconds(1));
  }
  CHECK(relay.count(Counter::cache_hits) == 5);
}

TEST_CASE("that no upstream can be reached is not kept") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  const auto client = relay.ask("www.example");
  relay.refuse(0);
  relay.advance(seconds(4));
  CHECK(relay.rcode(client) == kServfail);
  CHECK(relay.count(Counter::cache_kept) == 0);
  CHECK_FALSE(relay.answered(relay.ask("www.example")));
}

TEST_CASE("all workers keep answers together") {
  const CacheBlock block(kSize);
  CachedRelay one(block, 1);
  CachedRelay two(block, 2);
  one.fetch("www.example", 300);
  CHECK(contains(two.got(two.ask("www.example")), "answer www.example. 300 A"));
  CHECK(two.upstreams.lines.empty());
}

TEST_CASE("in the last tenth of its life an answer is fetched anew by one client of all workers, which does not wait") {
  const CacheBlock block(kSize);
  CachedRelay one(block, 1);
  CachedRelay two(block, 2);
  one.fetch("www.example", 100);
  one.advance(seconds(89));
  CHECK(one.answered(one.ask("www.example")));
  CHECK(one.sent() == 1);
  one.advance(seconds(2));
  two.now = one.now;
  CHECK(contains(one.got(one.ask("www.example")), "answer www.example. 9 A"));
  CHECK(contains(one.got(one.ask("www.example")), "answer www.example. 9 A"));
  CHECK(contains(two.got(two.ask("www.example")), "answer www.example. 9 A"));
  CHECK(two.upstreams.lines.empty());
  CHECK(one.count(Counter::cache_refreshes) == 1);
  while (one.sent() == 1) {  // on a new connection
    for (std::size_t i = 0; i < one.upstreams.lines.size(); ++i) {
      if (one.line(i).state == Connection::State::connecting) one.ready(i);
    }
  }
  const std::uint64_t answers = one.count(Counter::answers);
  one.answer_with(answer_with_ttl(one.latest_query(), 100));
  CHECK(one.count(Counter::answers) == answers);
  CHECK(one.forwarder.idle());
  CHECK(contains(two.got(two.ask("www.example")), "answer www.example. 100 A"));
}

TEST_CASE("a refresh that fails is told to no client and counts as no failure") {
  const CacheBlock block(kSize);
  CachedRelay relay(block);
  relay.fetch("www.example", 100);
  relay.end(0);
  relay.advance(seconds(95));
  CHECK(relay.answered(relay.ask("www.example")));
  relay.refuse_all();
  relay.advance(milliseconds(4500));
  CHECK(relay.count(Counter::failed) == 0);
  CHECK(relay.count(Counter::answers) == 2);
  CHECK(relay.forwarder.idle());
  CHECK(contains(relay.got(relay.ask("www.example")), " A IN c0000201"));
}

}  // namespace
}  // namespace dotrelay::test
