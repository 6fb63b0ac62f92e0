// What a new configuration's workers are told of upstreams that the old one had, too.
#include "supervisor/generation_parts.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

GenerationParts parts_of(std::vector<UpstreamConfig> upstreams) {
  GenerationParts parts;
  parts.config.upstreams = std::move(upstreams);
  Result<SharedState> shared = SharedState::create(1, parts.config.address_count());
  REQUIRE(shared);
  parts.shared.emplace(std::move(*shared));
  return parts;
}

UpstreamConfig upstream(std::string name, std::initializer_list<const char*> addresses) {
  UpstreamConfig config;
  config.name = std::move(name);
  config.tls_name = "dns.example";
  for (const char* address : addresses) config.addresses.push_back(*parse_endpoint(address, 853));
  return config;
}

std::uint32_t idle_close_of(const GenerationParts& parts, std::size_t number) {
  return parts.shared->health()[number].idle_close_ms;
}

TEST_CASE("health follows an address to its new place, and to no other") {
  const GenerationParts from = parts_of({upstream("a", {"192.0.2.1"}), upstream("b", {"192.0.2.2", "192.0.2.3"})});
  for (std::uint32_t i = 0; i < 3; ++i) from.shared->health()[i].idle_close_ms = 100 + i;
  GenerationParts to = parts_of({upstream("new", {"192.0.2.3", "192.0.2.4"}), upstream("a", {"192.0.2.1"})});
  carry_health(from, to);
  CHECK(idle_close_of(to, 0) == 102);
  CHECK(idle_close_of(to, 1) == 0);
  CHECK(idle_close_of(to, 2) == 100);
}

TEST_CASE("an upstream that is reached or authenticated in another way is another one") {
  const GenerationParts from = parts_of({upstream("a", {"192.0.2.1"})});
  from.shared->health()[0].idle_close_ms = 100;
  UpstreamConfig changed = upstream("a", {"192.0.2.1"});
  bool same = false;
  SUBCASE("not at all") { same = true; }
  SUBCASE("name in the certificate") { changed.tls_name = "other.example"; }
  SUBCASE("CA file") { changed.ca_file = "/etc/ca.pem"; }
  SUBCASE("pins") { changed.pins.emplace_back(); }
  SUBCASE("source") { changed.egress.source = parse_endpoint("192.0.2.9", 853)->address; }
  SUBCASE("interface") { changed.egress.interface = *Scope::parse("wwan0"); }
  SUBCASE("mark") { changed.egress.mark = 16; }
  GenerationParts to = parts_of({changed});
  carry_health(from, to);
  CHECK(idle_close_of(to, 0) == (same ? 100 : 0));
}

}  // namespace
}  // namespace dotrelay
