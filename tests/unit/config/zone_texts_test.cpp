// What operators read of zones.
#include "config/zone_texts.hpp"

#include "config/parser.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("eight names, and how many more there are") {
  std::vector<PlacedName> names(8, PlacedName{"a.example", {}});
  CHECK(joined(std::span(names).first(2)) == "a.example, a.example");
  CHECK(joined(names).ends_with(", a.example"));
  names.push_back({"b.example", {}});
  CHECK(joined(names).ends_with(", a.example and 1 more"));
}

TEST_CASE("each zone in plain text is said with where it goes; zones over TLS and answers from here are not") {
  const Result<Config> config = parse_config(R"([[upstream]]
name = "one"
addresses = ["192.0.2.1"]
tls_name = "dns.example"
[[local_upstream]]
name = "cluster"
addresses = ["10.96.0.10"]
[[local_upstream]]
name = "vpn"
addresses = ["10.8.0.1:5353", "fd00::1", "fe80::1%eth0"]
[[zone]]
names = ["cluster.local", "10.in-addr.arpa"]
upstreams = ["cluster"]
[[zone]]
names = ["example"]
upstreams = ["one"]
[[zone]]
names = ["local"]
answer = "nodata"
[[zone]]
names = ["corp.example"]
upstreams = ["vpn", "cluster"]
)",
                                             "t");
  REQUIRE(config);
  CHECK(plain_text_lines(*config) ==
        std::vector<std::string>{
            "plaintext on purpose: cluster.local, 10.in-addr.arpa -> 10.96.0.10",
            "plaintext on purpose: corp.example -> 10.8.0.1:5353, fd00::1, [fe80::1%eth0]:53, 10.96.0.10"});
}

}  // namespace
}  // namespace dotrelay
