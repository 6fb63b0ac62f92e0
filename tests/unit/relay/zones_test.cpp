// Which zone a name is in, and what that means: whose upstreams, in which order, or an answer from here.
#include "relay/zones.hpp"

#include "dns/message_builder.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace dotrelay::test {
namespace {

using Names = std::vector<std::string>;

Config config_of(std::size_t upstreams) {
  Config config;
  for (std::size_t i = 0; i < upstreams; ++i) config.upstreams.emplace_back().name = "up" + std::to_string(i);
  return config;
}

ZoneConfig& add(Config& config, const Names& names) {
  ZoneConfig& zone = config.zones.emplace_back();
  for (const std::string& one : names) zone.names.push_back({one, {}});
  return zone;
}

void serve(Config& config, const Names& names, const Names& upstreams) {
  ZoneConfig& zone = add(config, names);
  for (const std::string& upstream : upstreams) zone.upstreams.push_back({upstream, {}});
}

/// What happens to a question: "20" for the upstreams 2 and 0 in this order, or the answer's RCODE and apex.
std::string fate(const Zones& zones, std::string_view qname, std::uint16_t type = 1) {
  const Octets octets = name(qname);
  const dns::Question question{octets, type, 1};
  const ZoneNumber zone = zones.of(question);
  if (const auto local = zones.local_answer(zone, question)) {
    CHECK(zones.order(zone).empty());
    return std::to_string(static_cast<int>(local->rcode)) + " " +
           (local->apex.empty() ? "-" : dns::to_text(local->apex));
  }
  std::string text;
  for (const std::size_t upstream : zones.order(zone)) text += std::to_string(upstream);
  return text;
}

ZoneNumber number_of(const Zones& zones, std::string_view qname) {
  const Octets octets = name(qname);
  return zones.of({octets, 1, 1});
}

TEST_CASE("without zones every name has all upstreams in the order of the file") {
  const Zones zones(config_of(3));
  for (const std::string_view qname : {".", "com", "www.example.com", "arpa", "in-addr.arpa", "1.1.1.1.in-addr.arpa"}) {
    CAPTURE(qname);
    CHECK(fate(zones, qname) == "012");
    CHECK(number_of(zones, qname) == kCommonZone);
  }
}

TEST_CASE("upstreams that are for zones only are not in the common order") {
  Config config = config_of(4);
  config.upstreams[0].zone_only = config.upstreams[2].zone_only = true;
  serve(config, {"corp.example"}, {"up2", "up1", "up0"});
  const Zones zones(config);
  CHECK(fate(zones, "www.example") == "13");
  CHECK(fate(zones, "www.corp.example") == "210");
}

TEST_CASE("the longest name of all zones counts; zones are numbered as they are written") {
  Config config = config_of(3);
  serve(config, {"corp.example", "b.a.test.example"}, {"up2"});
  serve(config, {"lab.corp.example", "test.example"}, {"up1", "up0"});
  add(config, {"secret.lab.corp.example", "a.test.example"}).answer = ZoneAnswer::refused;
  const Zones zones(config);
  CHECK(fate(zones, "corp.example") == "2");
  CHECK(fate(zones, "WWW.Corp.EXAMPLE") == "2");
  CHECK(fate(zones, "lab.corp.example") == "10");
  CHECK(fate(zones, "x.lab.corp.example") == "10");
  CHECK(fate(zones, "x.secret.lab.corp.example") == "5 -");
  CHECK(fate(zones, "xcorp.example") == "012");
  CHECK(fate(zones, "example") == "012");
  CHECK(number_of(zones, "x.corp.example") == 1);
  CHECK(number_of(zones, "x.b.a.test.example") == 1);
  CHECK(number_of(zones, "x.test.example") == 2);
  CHECK(number_of(zones, "a.test.example") == 3);
}

TEST_CASE("answers of zones") {
  Config config = config_of(1);
  add(config, {"no.example"}).answer = ZoneAnswer::nxdomain;
  add(config, {"empty.example", "void.example"}).answer = ZoneAnswer::nodata;
  add(config, {"never.example"}).answer = ZoneAnswer::refused;
  const Zones zones(config);
  CHECK(fate(zones, "no.example") == "3 no.example.");
  CHECK(fate(zones, "a.b.no.example") == "3 no.example.");
  CHECK(fate(zones, "a.empty.example", dns::type::soa) == "0 empty.example.");
  CHECK(fate(zones, "void.example") == "0 void.example.");
  CHECK(fate(zones, "x.never.example") == "5 -");
  // They stay here with all they have, DS records too.
  CHECK(fate(zones, "no.example", dns::type::ds) == "3 no.example.");
}

TEST_CASE("names that are local by default") {
  const Zones zones(config_of(2));
  CHECK(fate(zones, "localhost") == "0 -");
  CHECK(fate(zones, "x.onion") == "3 -");
  CHECK(fate(zones, "_dns.resolver.arpa") == "0 -");
  for (const std::string apex : {"local", "test", "invalid", "alt", "internal"}) {
    CAPTURE(apex);
    CHECK(fate(zones, apex) == "3 " + apex + ".");
    CHECK(fate(zones, "a.b." + apex) == "3 " + apex + ".");
    CHECK(fate(zones, apex, dns::type::ds) == "3 " + apex + ".");
    CHECK(fate(zones, "x" + apex) == "01");
    CHECK(fate(zones, apex + ".example") == "01");
  }
}

TEST_CASE("all zones of RFC 6303, RFC 7793, RFC 8375 and RFC 9665, and nothing beside them") {
  const Zones zones(config_of(2));
  Names served = {"0.in-addr.arpa",
                  "10.in-addr.arpa",
                  "127.in-addr.arpa",
                  "254.169.in-addr.arpa",
                  "168.192.in-addr.arpa",
                  "2.0.192.in-addr.arpa",
                  "100.51.198.in-addr.arpa",
                  "113.0.203.in-addr.arpa",
                  "255.255.255.255.in-addr.arpa",
                  "d.f.ip6.arpa",
                  "8.e.f.ip6.arpa",
                  "9.e.f.ip6.arpa",
                  "a.e.f.ip6.arpa",
                  "b.e.f.ip6.arpa",
                  "8.b.d.0.1.0.0.2.ip6.arpa",
                  "home.arpa",
                  "service.arpa"};
  std::string zeros;
  for (int i = 0; i < 31; ++i) zeros += ".0";
  served.push_back("0" + zeros + ".ip6.arpa");
  served.push_back("1" + zeros + ".ip6.arpa");
  Names others = {"in-addr.arpa",
                  "9.in-addr.arpa",
                  "11.in-addr.arpa",
                  "172.in-addr.arpa",
                  "100.in-addr.arpa",
                  "192.in-addr.arpa",
                  "255.in-addr.arpa",
                  "c.f.ip6.arpa",
                  "e.f.ip6.arpa",
                  "c.e.f.ip6.arpa",
                  "ip6.arpa",
                  "ipv4only.arpa",
                  "170.0.0.192.in-addr.arpa",
                  "2" + zeros + ".ip6.arpa",
                  "example.com",
                  "1.0.0.2.ip6.arpa",
                  "as112.arpa"};
  for (int i = 0; i < 256; ++i) {
    (i >= 16 && i <= 31 ? served : others).push_back(std::to_string(i) + ".172.in-addr.arpa");
    (i >= 64 && i <= 127 ? served : others).push_back(std::to_string(i) + ".100.in-addr.arpa");
  }
  for (const std::string& apex : served) {
    CAPTURE(apex);
    CHECK(fate(zones, apex) == "0 " + apex + ".");
    CHECK(fate(zones, "5." + apex, 12) == "3 " + apex + ".");
    // The parent, in the public tree, has the proof that the zone is not signed; what is below is no name there.
    CHECK(fate(zones, apex, dns::type::ds) == "01");
    CHECK(fate(zones, "5." + apex, dns::type::ds) == "3 " + apex + ".");
  }
  for (const std::string& qname : others) {
    CAPTURE(qname);
    CHECK(fate(zones, qname) == "01");
  }
}

TEST_CASE("a zone replaces a local one of its name, takes its part of one, and leaves those below it as they are") {
  Config config = config_of(2);
  serve(config, {"10.in-addr.arpa", "cluster.local", "localhost", "arpa"}, {"up1"});
  const Zones zones(config);
  CHECK(fate(zones, "10.in-addr.arpa") == "1");
  CHECK(fate(zones, "1.10.in-addr.arpa") == "1");
  CHECK(fate(zones, "localhost") == "1");
  CHECK(fate(zones, "a.cluster.local") == "1");
  CHECK(fate(zones, "a.local") == "3 local.");
  CHECK(fate(zones, "168.192.in-addr.arpa") == "0 168.192.in-addr.arpa.");
  CHECK(fate(zones, "1.1.1.1.in-addr.arpa") == "1");
  // All types of a zone of the configuration stay in it, while DS of a local one are its parent's.
  CHECK(fate(zones, "10.in-addr.arpa", dns::type::ds) == "1");
  CHECK(fate(zones, "168.192.in-addr.arpa", dns::type::ds) == "1");
}

TEST_CASE("as many zones and names as there may be") {
  Config config = config_of(1);
  for (std::size_t i = 0; i < kMaxZones; ++i) {
    ZoneConfig& zone = add(config, {});
    for (std::size_t j = 0; j < kMaxZoneNames; ++j) {
      zone.names.push_back({"n" + std::to_string(j) + ".z" + std::to_string(i) + ".example", {}});
    }
    zone.answer = ZoneAnswer::nodata;
  }
  const Zones zones(config);
  CHECK(number_of(zones, "n0.z0.example") == 1);
  CHECK(number_of(zones, "x.n255.z63.example") == kMaxZones);
  CHECK(number_of(zones, "n256.z63.example") == kCommonZone);
  CHECK(fate(zones, "x.test") == "3 test.");
}

}  // namespace
}  // namespace dotrelay::test
