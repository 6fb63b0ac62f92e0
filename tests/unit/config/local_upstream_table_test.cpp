// The [[local_upstream]] table: what is read, and for each way out of the private network the one line that is printed.
#include "config/judge.hpp"
#include "config/parser.hpp"

#include <algorithm>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

/// In lines 1 to 4.
const std::string kPublic =
    "[[upstream]]\n"
    "name = \"one\"\n"
    "addresses = [\"192.0.2.1\"]\n"
    "tls_name = \"dns.example\"\n";

std::string local(const std::string& name, const std::string& addresses) {
  return "[[local_upstream]]\nname = \"" + name + "\"\naddresses = [" + addresses + "]\n";
}

std::string zone(const std::string& name, const std::string& upstreams) {
  return "[[zone]]\nnames = [\"" + name + "\"]\nupstreams = [" + upstreams + "]\n";
}

/// The error without the file's name, or "fine". `text` begins in line 5.
std::string error_of(const std::string& text) {
  const Result<Config> config = parse_config(kPublic + text, "t");
  return config ? "fine" : config.error().message.substr(2);
}

/// The error of an address, in line 7 from column 14 on, without what is allowed.
std::string error_of_address(const std::string& address) {
  const std::string error = error_of(local("router", "\"" + address + "\"") + zone("lan", "\"router\""));
  constexpr std::string_view kBegin = "7:14: local_upstream.addresses: ";
  if (!error.starts_with(kBegin)) return error;
  return error.substr(kBegin.size(), error.find("; allowed: 1 to 16 private IP addresses") - kBegin.size());
}

TEST_CASE("a local upstream is read, for zones only, behind all others wherever it stands in the file") {
  const Result<Config> config =
      parse_config(local("router", "\"192.168.1.1\", \"[fd00::1]:5353\"") + kPublic + zone("lan", "\"router\""), "t");
  REQUIRE(config);
  REQUIRE(config->upstreams.size() == 2);
  CHECK(config->upstreams[0].name == "one");
  CHECK(config->upstreams[0].transport == Transport::tls);
  const UpstreamConfig& router = config->upstreams[1];
  CHECK(router.name == "router");
  CHECK(router.transport == Transport::plain);
  CHECK(router.zone_only);
  CHECK(router.addresses == std::vector{*parse_endpoint("192.168.1.1", 53), *parse_endpoint("fd00::1", 5353)});
  CHECK(doubts_about(*config).empty());
}

TEST_CASE("all private networks will do, and no other address") {
  for (const char* address : {"127.0.0.1", "::1", "10.96.0.10", "172.16.0.1", "192.168.1.1:5353", "100.64.0.1",
                              "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.1"}) {
    CAPTURE(address);
    CHECK(error_of_address(address) == "fine");
  }
  for (const char* address : {"1.1.1.1", "172.32.0.1", "192.0.2.1:853", "2606:4700:4700::1111", "169.254.169.254",
                              "::ffff:8.8.8.8", "[2001:db8::1]:53"}) {
    CAPTURE(address);
    CHECK(error_of_address(address) ==
          "\"" + std::string(address) +
              "\" is not a private address, and the relay sends nothing there in plain text; make it an [[upstream]]");
  }
}

TEST_CASE("addresses that are none") {
  CHECK(error_of_address("0.0.0.0") == "\"0.0.0.0\" is no address of a server");
  CHECK(error_of_address("224.0.0.251") == "\"224.0.0.251\" is a multicast address");
  CHECK(error_of_address("fe80::1") == "[fe80::1]:53 is link-local and lacks its interface (\"fe80::1%eth0\")");
  CHECK(error_of_address("router.lan") != "fine");
  CHECK(error_of(local("router", "")).starts_with("7:13: local_upstream.addresses: 0 entries; allowed: "));
}

TEST_CASE("the relay itself is none") {
  CHECK(error_of("[listen]\naddresses = [\"127.0.0.1:53\"]\n" + local("self", "\"127.0.0.1\"") +
                 zone("lan", "\"self\"")) ==
        "9:14: local_upstream.addresses: 127.0.0.1:53 is the relay itself (listen.addresses)");
}

TEST_CASE("a zone has one kind, whichever comes first") {
  const std::string why =
      "are not both [[upstream]] or both [[local_upstream]]; plain text never stands in for TLS, nor TLS for plain "
      "text";
  const std::string router = local("router", "\"10.0.0.1\"");
  CHECK(error_of(router + zone("lan", "\"router\", \"one\"")) ==
        "10:24: zone.upstreams: \"router\" and \"one\" " + why);
  CHECK(error_of(router + zone("lan", "\"one\", \"router\"")) ==
        "10:21: zone.upstreams: \"one\" and \"router\" " + why);
  CHECK(error_of(router + local("vpn", "\"10.0.0.2\"") + zone("lan", "\"vpn\", \"router\"")) == "fine");
}

TEST_CASE("names are those of all upstreams, and so is the bound") {
  CHECK(error_of(local("one", "\"10.0.0.1\"")) ==
        "6:8: local_upstream.name: another upstream is called \"one\" already");
  std::string many;
  for (int i = 0; i < 15; ++i) many += local("l" + std::to_string(i), "\"10.0.0.1\"");
  CHECK(error_of(many) == "fine");
  CHECK(error_of(many + local("x", "\"10.0.0.1\"")) ==
        "51:8: local_upstream.name: more than 16 upstreams, those of [[upstream]] and [[local_upstream]] together");
}

TEST_CASE("it serves zones only: none alone, none for every name, a warning where no zone names it") {
  const std::string router = local("router", "\"10.0.0.1\"");
  CHECK_FALSE(parse_config(router + zone("lan", "\"router\""), "t"));
  CHECK(error_of(router + zone(".", "\"router\"")).starts_with("9:10: zone.names: \".\" is every name"));
  const Result<Config> config = parse_config(kPublic + router, "t");
  REQUIRE(config);
  const std::vector<Problem> doubts = doubts_about(*config);
  REQUIRE(doubts.size() == 1);
  CHECK(doubts[0].position.line == 6);
  CHECK(doubts[0].message == "local_upstream.name: no [[zone]] names \"router\", so it gets no query");
}

TEST_CASE("keys of TLS have no place in it") {
  CHECK(error_of(local("router", "\"10.0.0.1\"") + "tls_name = \"router.lan\"\n")
            .starts_with("8:1: unknown key \"tls_name\" in [[local_upstream]]"));
  CHECK(error_of("[[local_upstream]]\nname = \"x\"\n")
            .starts_with("5:1: [[local_upstream]] needs the key \"addresses\""));
}

}  // namespace
}  // namespace dotrelay
