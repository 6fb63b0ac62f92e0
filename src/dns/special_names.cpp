// See special_names.hpp.
#include "dns/special_names.hpp"

#include <array>

namespace dotrelay::dns {
namespace {

constexpr std::array<std::uint8_t, 4> kLoopback4 = {127, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

// Of the registries' names those are not here that are to be looked up like any other: the examples (RFC 6761 6.5),
// ipv4only.arpa and its reverse names, which only a network's own DNS64 may answer (RFC 8880 7.1), and names of other
// protocols that no stub resolver asks for (6tisch.arpa, eap-noob.arpa, eap.arpa).
constexpr SpecialName kNames[] = {
    {"localhost", 6761, LocalZone::loopback},
    {"onion", 7686, LocalZone::onion},
    {"resolver.arpa", 9462, LocalZone::resolver},
    // Names that are not delegated at all.
    {"local", 6762, LocalZone::nxdomain},
    {"test", 6761, LocalZone::nxdomain},
    {"invalid", 6761, LocalZone::nxdomain},
    {"alt", 9476, LocalZone::nxdomain},
    {"internal", 0, LocalZone::nxdomain},  // reserved for private use by ICANN's board, 29 July 2024
    // Zones of each network's own.
    {"home.arpa", 8375, LocalZone::empty},
    {"service.arpa", 9665, LocalZone::empty},
    // Addresses that are not global, IPv4.
    {"0.in-addr.arpa", 6303, LocalZone::empty},
    {"10.in-addr.arpa", 6303, LocalZone::empty},
    {"100.in-addr.arpa", 7793, LocalZone::empty, 64, 127},
    {"127.in-addr.arpa", 6303, LocalZone::empty},
    {"254.169.in-addr.arpa", 6303, LocalZone::empty},
    {"172.in-addr.arpa", 6303, LocalZone::empty, 16, 31},
    {"2.0.192.in-addr.arpa", 6303, LocalZone::empty},
    {"168.192.in-addr.arpa", 6303, LocalZone::empty},
    {"100.51.198.in-addr.arpa", 6303, LocalZone::empty},
    {"113.0.203.in-addr.arpa", 6303, LocalZone::empty},
    {"255.255.255.255.in-addr.arpa", 6303, LocalZone::empty},
    // And IPv6: unspecified, loopback, fd00::/8, fe80::/10, 2001:db8::/32.
    {"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", 6303, LocalZone::empty},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", 6303, LocalZone::empty},
    {"d.f.ip6.arpa", 6303, LocalZone::empty},
    {"8.e.f.ip6.arpa", 6303, LocalZone::empty},
    {"9.e.f.ip6.arpa", 6303, LocalZone::empty},
    {"a.e.f.ip6.arpa", 6303, LocalZone::empty},
    {"b.e.f.ip6.arpa", 6303, LocalZone::empty},
    {"8.b.d.0.1.0.0.2.ip6.arpa", 6303, LocalZone::empty},
};

LocalAnswer loopback_answer(const Question& question) {
  LocalAnswer answer{.rcode = Rcode::noerror};
  if (question.type == type::a) answer.address = kLoopback4;
  if (question.type == type::aaaa) answer.address = kLoopback6;
  return answer;
}

LocalAnswer empty_zone_answer(const Question& question, Bytes apex) {
  if (question.name.size() != apex.size()) return {.rcode = Rcode::nxdomain, .apex = apex};
  const bool all = question.type == type::any;
  return {.rcode = Rcode::noerror,
          .apex = apex,
          .soa = all || question.type == type::soa,
          .ns = all || question.type == type::ns};
}

}  // namespace

std::span<const SpecialName> special_names() { return kNames; }

LocalAnswer local_answer(LocalZone zone, const Question& question, Bytes apex) {
  switch (zone) {
    case LocalZone::loopback:
      return loopback_answer(question);
    case LocalZone::onion:
      return {.rcode = Rcode::nxdomain};
    case LocalZone::resolver:
      return {.rcode = Rcode::noerror};
    case LocalZone::empty:
      return empty_zone_answer(question, apex);
    case LocalZone::nxdomain:
      return {.rcode = Rcode::nxdomain, .apex = apex};
    case LocalZone::nodata:
      return {.rcode = Rcode::noerror, .apex = apex};
    case LocalZone::refused:
    case LocalZone::count_:
      break;
  }
  return {.rcode = Rcode::refused};
}

}  // namespace dotrelay::dns
