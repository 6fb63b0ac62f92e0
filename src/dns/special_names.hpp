// Names that are answered here and do not go upstream: which ones by default (IANA's registries "Locally-Served DNS
// Zones" and "Special-Use Domain Names"), and how. The records themselves are written in client_response.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace dotrelay::dns {

/// How the names of a zone that is served here are answered. The apex is the zone's own name.
enum class LocalZone : std::uint8_t {
  loopback,  ///< the addresses of this machine, at the apex and below
  onion,     ///< NXDOMAIN; no zone of the DNS, so without an SOA
  resolver,  ///< no data; without an SOA
  empty,     ///< SOA and NS at the apex, NXDOMAIN below (RFC 6303 3)
  nxdomain,  ///< NXDOMAIN, at the apex too
  nodata,    ///< no data
  refused,   ///< REFUSED
  count_,
};

/// One row of the default ones.
struct SpecialName {
  std::string_view name;  ///< lower case, without the final dot
  std::uint16_t rfc = 0;  ///< that says so
  LocalZone zone = LocalZone::empty;
  /// Where `to` is not 0 the row is for several names: each of these numbers as a label before `name`.
  std::uint8_t from = 0;
  std::uint8_t to = 0;
};

std::span<const SpecialName> special_names();

/// What is said to a question about a name of a local zone.
struct LocalAnswer {
  Rcode rcode = Rcode::nxdomain;
  Bytes address{};   ///< RDATA of one address record, empty for none; static storage
  Bytes apex{};      ///< the end of the QNAME that is the zone's name; empty: the answer has no SOA and no NS
  bool soa = false;  ///< the SOA is asked for; else it comes along as what makes the answer negative (RFC 2308 3)
  bool ns = false;   ///< the NS record is asked for
};

/// `apex` as in LocalAnswer: where the name of the zone begins in the question's.
LocalAnswer local_answer(LocalZone zone, const Question& question, Bytes apex);

/// Whether a question about the apex of the zone is one for its parent: DS records stand there (RFC 4035 3.1.4.1), and
/// a client that validates learns from them that the zone is not signed (RFC 6303 7, RFC 8375 4).
inline bool belongs_to_parent(LocalZone zone, const Question& question) {
  return zone == LocalZone::empty && question.type == type::ds;
}

}  // namespace dotrelay::dns
