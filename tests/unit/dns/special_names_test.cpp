// Names that are answered here and never go upstream: which ones, and with what.
#include "dns/special_names.hpp"

#include "dns/name.hpp"
#include "message_builder.hpp"

#include <doctest/doctest.h>
#include <set>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

constexpr std::uint16_t kMx = 15;
constexpr std::uint16_t kSvcb = 64;

/// The answer in words; the apex has one label.
std::string answer(LocalZone zone, std::string_view qname, std::uint16_t type) {
  const Octets octets = name(qname);
  const LocalAnswer answer = local_answer(zone, Question{octets, type, klass::in}, last_labels(octets, 1));
  std::string text = answer.rcode == Rcode::nxdomain  ? "NXDOMAIN"
                     : answer.rcode == Rcode::noerror ? "NOERROR"
                     : answer.rcode == Rcode::refused ? "REFUSED"
                                                      : "?";
  if (!answer.address.empty()) text += " " + to_hex(answer.address);
  if (!answer.apex.empty()) text += " of " + to_text(answer.apex);
  return text + (answer.soa ? " SOA" : "") + (answer.ns ? " NS" : "");
}

TEST_CASE("localhost is this machine, at any depth and in any spelling (RFC 6761 6.3)") {
  CHECK(answer(LocalZone::loopback, "localhost", type::a) == "NOERROR 7f000001");
  CHECK(answer(LocalZone::loopback, "localhost", type::aaaa) == "NOERROR 00000000000000000000000000000001");
  CHECK(answer(LocalZone::loopback, "a.b.c.LOCALhost", type::a) == "NOERROR 7f000001");
  CHECK(answer(LocalZone::loopback, "localhost", kMx) == "NOERROR");
  CHECK(answer(LocalZone::loopback, "localhost", type::any) == "NOERROR");
}

TEST_CASE("resolver.arpa has no data here (RFC 9462 6.4), onion no names (RFC 7686 2), and neither an SOA") {
  CHECK(answer(LocalZone::resolver, "_dns.resolver.arpa", kSvcb) == "NOERROR");
  CHECK(answer(LocalZone::onion, "www.expyuzz4wqqyqhjn.ONION", type::aaaa) == "NXDOMAIN");
}

TEST_CASE("what a zone without names, one without data and one that is refused answer, at the apex and below") {
  for (const std::string_view qname : {"x", "a.x", "a.b.x"}) {
    CHECK(answer(LocalZone::nxdomain, qname, type::soa) == "NXDOMAIN of x.");
    CHECK(answer(LocalZone::nodata, qname, type::ns) == "NOERROR of x.");
    CHECK(answer(LocalZone::refused, qname, type::a) == "REFUSED");
  }
}

TEST_CASE("an empty zone: its apex is there with SOA and NS, what is below is not (RFC 6303 3)") {
  CHECK(answer(LocalZone::empty, "x", type::a) == "NOERROR of x.");
  CHECK(answer(LocalZone::empty, "X", type::soa) == "NOERROR of X. SOA");
  CHECK(answer(LocalZone::empty, "x", type::ns) == "NOERROR of x. NS");
  CHECK(answer(LocalZone::empty, "x", type::any) == "NOERROR of x. SOA NS");
  CHECK(answer(LocalZone::empty, "a.x", type::soa) == "NXDOMAIN of x.");
  CHECK(answer(LocalZone::empty, "a.x", type::any) == "NXDOMAIN of x.");
}

TEST_CASE("DS records of an empty zone stand in its parent, of no other") {
  const Octets octets = name("x");
  for (std::size_t i = 0; i < static_cast<std::size_t>(LocalZone::count_); ++i) {
    const auto zone = static_cast<LocalZone>(i);
    CHECK(belongs_to_parent(zone, {octets, type::ds, klass::in}) == (zone == LocalZone::empty));
    CHECK_FALSE(belongs_to_parent(zone, {octets, type::soa, klass::in}));
  }
}

TEST_CASE("the default ones are valid names, each once, with the document that says so") {
  std::set<std::string_view> names;
  for (const SpecialName& row : special_names()) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    CHECK(from_text(row.name).size() == row.name.size() + 2);
    CHECK((row.rfc != 0 || row.name == "internal"));
    CHECK(row.from <= row.to);
    // What is not delegated is no zone that has an apex.
    CHECK((row.zone != LocalZone::empty || row.name.ends_with(".arpa")));
  }
}

}  // namespace
}  // namespace dotrelay::dns
