// Names that are answered here and never go upstream: which ones, and with what.
#include "dns/special_names.hpp"

#include "message_builder.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

constexpr std::uint16_t kMx = 15;
constexpr std::uint16_t kSvcb = 64;
constexpr std::uint16_t kAnyType = 255;

std::string local_answer(std::string_view qname, std::uint16_t type) {
  const Octets octets = name(qname);
  const auto answer = find_local_answer(Question{octets, type, klass::in});
  if (!answer) return "upstream";
  return (answer->rcode == Rcode::nxdomain  ? "NXDOMAIN"
          : answer->rcode == Rcode::noerror ? "NOERROR"
                                            : "?") +
         (answer->address.empty() ? "" : " " + to_hex(answer->address));
}

TEST_CASE("localhost is this machine, at any depth and in any spelling (RFC 6761 6.3)") {
  CHECK(local_answer("localhost", type::a) == "NOERROR 7f000001");
  CHECK(local_answer("localhost", type::aaaa) == "NOERROR 00000000000000000000000000000001");
  CHECK(local_answer("App.LOCALhost", type::a) == "NOERROR 7f000001");
  CHECK(local_answer("a.b.c.localhost", type::aaaa) == "NOERROR 00000000000000000000000000000001");
}

TEST_CASE("localhost has no other data") {
  CHECK(local_answer("localhost", kMx) == "NOERROR");
  CHECK(local_answer("localhost", kAnyType) == "NOERROR");
}

TEST_CASE("resolver.arpa and what is below it has no data here (RFC 9462 6.4)") {
  CHECK(local_answer("resolver.arpa", type::a) == "NOERROR");
  CHECK(local_answer("_dns.resolver.arpa", kSvcb) == "NOERROR");
  CHECK(local_answer("_DNS.Resolver.ARPA", kSvcb) == "NOERROR");
  CHECK(local_answer("a.b.resolver.arpa", type::aaaa) == "NOERROR");
}

TEST_CASE("onion names are never asked of the DNS (RFC 7686 2)") {
  CHECK(local_answer("onion", type::a) == "NXDOMAIN");
  CHECK(local_answer("expyuzz4wqqyqhjn.ONION", type::a) == "NXDOMAIN");
  CHECK(local_answer("www.expyuzz4wqqyqhjn.onion", type::aaaa) == "NXDOMAIN");
}

TEST_CASE("names that only look alike go upstream") {
  for (const std::string_view qname :
       {".", "com", "localhost.com", "mylocalhost", "localhos", "localhost.localdomain", "onion.com", "notonion",
        "arpa", "xresolver.arpa", "resolver.arpa.com", "in-addr.arpa", "1.0.0.127.in-addr.arpa"}) {
    CAPTURE(qname);
    CHECK(local_answer(qname, type::a) == "upstream");
  }
}

}  // namespace
}  // namespace dotrelay::dns
