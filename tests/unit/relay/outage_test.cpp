// Outages: queries that need not wait long any more, and words for a network that lets nothing through.
#include "relay/blocked_network.hpp"
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

TEST_CASE("an outage lasts after ten seconds, is told once, and ends") {
  const TimePoint start{std::chrono::hours(1)};
  Outage outage;
  CHECK_FALSE(outage.lasts(start));
  CHECK_FALSE(outage.end(start));
  outage.on_wait(start);
  CHECK_FALSE(outage.lasts(start + milliseconds(9999)));
  CHECK(outage.lasts(start + seconds(10)));
  CHECK(outage.tell(start + seconds(4)));
  CHECK_FALSE(outage.tell(start + seconds(5)));
  SUBCASE("with an upstream that is usable") {
    CHECK(outage.end(start + seconds(20)) == Duration(seconds(20)));
    CHECK_FALSE(outage.lasts(start + seconds(21)));
    CHECK_FALSE(outage.end(start + seconds(21)));
  }
  SUBCASE("with another network: waiting begins anew") {
    outage.restart(start + seconds(20));
    CHECK_FALSE(outage.lasts(start + seconds(29)));
    CHECK_FALSE(outage.tell(start + seconds(29)));
  }
  SUBCASE("with minutes in which nobody asked") {
    outage.on_wait(start + seconds(301));
    CHECK_FALSE(outage.lasts(start + seconds(301)));
  }
}

TEST_CASE("each set of upstreams has an outage of its own, and one that is usable ends those that it is in") {
  const TimePoint start{std::chrono::hours(1)};
  const UpstreamMask common = UpstreamMask::first(2);
  const UpstreamMask office(2);
  Outages outages;
  outages.of(common).on_wait(start);
  outages.of(office).on_wait(start + seconds(5));
  CHECK(outages.of(common).tell(start + seconds(9)));
  CHECK(outages.of(office).tell(start + seconds(9)));
  const auto ended = outages.end(1, start + seconds(20));
  REQUIRE(ended);
  CHECK(ended->upstreams == common);
  CHECK(ended->lasted == Duration(seconds(20)));
  CHECK_FALSE(outages.of(common).lasts(start + seconds(20)));
  CHECK(outages.of(office).lasts(start + seconds(20)));
  outages.restart(start + seconds(20));
  CHECK_FALSE(outages.of(office).lasts(start + seconds(21)));
  CHECK(outages.end(2, start + seconds(22))->lasted == Duration(seconds(2)));
  CHECK_FALSE(outages.end(2, start + seconds(22)));
}

/// Refuses every dial under way.
void refuse_all(RelayFixture& relay) {
  for (std::size_t i = 0; i < relay.upstreams.lines.size(); ++i) {
    if (!relay.line(i).gone) relay.refuse(i);
  }
}

Duration ask_in_outage(RelayFixture& relay, const std::string& name) {
  const auto client = relay.ask(name);
  while (!relay.answered(client)) {
    refuse_all(relay);
    relay.advance(milliseconds(50));
  }
  CHECK(relay.rcode(client) == 2);
  return relay.client(client).answered_at - relay.client(client).asked_at;
}

TEST_CASE("in a long outage a query waits one second, and the first answer still comes at once") {
  RelayFixture relay({1, 1});
  int asked = 0;
  for (const TimePoint begin = relay.now; relay.now < begin + seconds(10);) {
    CHECK(ask_in_outage(relay, "n" + std::to_string(asked++) + ".example") <= seconds(4));
  }
  for (int i = 0; i < 5; ++i) {
    CHECK(ask_in_outage(relay, "long" + std::to_string(i) + ".example") <= milliseconds(1050));
  }
  const auto client = relay.ask("back.example");
  refuse_all(relay);
  const std::size_t before = relay.upstreams.lines.size();
  relay.advance(milliseconds(250));
  REQUIRE(relay.upstreams.lines.size() > before);
  relay.ready(before);
  relay.answer(before);
  CHECK(relay.rcode(client) == 0);
  CHECK(contains(relay.logged(), "queries are answered again"));
  // Over: the next one has the whole deadline again.
  relay.end(before);
  CHECK(ask_in_outage(relay, "new.example") == seconds(4));
}

TEST_CASE("a shorter deadline stays in force in a long outage") {
  RelayFixture relay({1});
  relay.config.relay.deadline = milliseconds(500);
  for (int i = 0; i < 25; ++i) CHECK(ask_in_outage(relay, "n" + std::to_string(i) + ".example") <= milliseconds(550));
}

TEST_CASE("unrelated providers that all refuse: EDE and log say that it is the network") {
  RelayFixture relay({1, 1});
  bool related = false;
  SUBCASE("one provider") { related = true; }
  SUBCASE("two") {}
  relay.config.upstreams[0].tls_name = "dns.one.example";
  relay.config.upstreams[1].tls_name = related ? "other.one.example" : "dns.two.test";
  const auto client = relay.ask("www.example");
  while (!relay.answered(client)) {
    refuse_all(relay);
    relay.advance(milliseconds(50));
  }
  const std::string words = "this network blocks or intercepts DNS over TLS (port 853): ";
  CHECK(contains(relay.explanation(client), words) != related);
  CHECK(contains(relay.logged(), words) != related);
  CHECK(contains(relay.explanation(client), "up1 (192.0.2.1:853): connection refused; up2 (192.0.2.2:853)"));
}

TEST_CASE("the provider: the last two labels of a TLS name, or an address") {
  CHECK(provider_of("dns.google") == "dns.google");
  CHECK(provider_of("one.one.one.one") == "one.one");
  CHECK(provider_of("dns.quad9.net.") == "quad9.net");
  CHECK(provider_of("a.dns.quad9.net") == "quad9.net");
  CHECK(provider_of("localhost") == "localhost");
  CHECK(provider_of("192.0.2.1") == "192.0.2.1");
  CHECK(provider_of("2001:db8::1") == "2001:db8::1");
}

TEST_CASE("when it is the network") {
  using enum Trouble;
  constexpr std::string_view kRefused = "connection refused";
  constexpr std::string_view kOther = "certificate from an unknown CA, certificate is not for ";
  struct Case {
    bool blocks;
    std::vector<AddressTrouble> troubles;
  };
  const Case cases[] = {
      {true, {{"a.net", unreachable, kRefused}, {"b.net", unreachable, kRefused}}},
      {true, {{"a.net", unreachable, "connection reset by peer"}, {"b.net", unreachable, "connection reset by peer"}}},
      {true, {{"a.net", tls, "TLS failed: one"}, {"b.net", tls, "TLS failed: two"}}},
      {true, {{"a.net", authentication, "no pin matches"}, {"b.net", authentication, "no pin matches"}}},
      {true,
       {{"a.net", authentication, std::string_view("certificate is not for a.net")},
        {"b.net", authentication, std::string_view("certificate is not for b.net")}}},
      {true, {{"a.net", authentication, kOther}, {"b.net", authentication, kOther}}},
      // Addresses of the family that this host does not have say nothing.
      {true,
       {{"a.net", unreachable, kRefused}, {"a.net", no_route, "no route to host"}, {"b.net", unreachable, kRefused}}},
      // One provider, or none.
      {false, {{"a.net", unreachable, kRefused}}},
      {false, {{"a.net", unreachable, kRefused}, {"a.net", unreachable, kRefused}}},
      {false, {}},
      // Different ways.
      {false, {{"a.net", unreachable, kRefused}, {"b.net", unreachable, "connection reset by peer"}}},
      {false, {{"a.net", unreachable, kRefused}, {"b.net", tls, "TLS failed: two"}}},
      {false, {{"a.net", unreachable, kRefused}, {"b.net", unreachable, kRefused}, {"b.net", none, ""}}},
      // Other causes are as likely.
      {false, {{"a.net", no_route, "no route to host"}, {"b.net", no_route, "no route to host"}}},
      {false, {{"a.net", timed_out, "connection timed out"}, {"b.net", timed_out, "connection timed out"}}},
      {false,
       {{"a.net", authentication, "certificate expired (this machine's date: 2020-01-01)"},
        {"b.net", authentication, "certificate expired (this machine's date: 2020-01-01)"}}},
      {false, {{"a.net", errors, "x"}, {"b.net", errors, "x"}}},
  };
  for (const Case& one : cases) {
    CAPTURE(&one - cases);
    CHECK(network_blocks(one.troubles) == one.blocks);
  }
}

}  // namespace
}  // namespace dotrelay::test
