// The numbers of the DNS that the relay needs by name. Sources: IANA "Domain Name System (DNS) Parameters", and the RFC
// beside each group.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dotrelay::dns {

inline constexpr std::size_t kHeaderSize = 12;       // RFC 1035 4.1.1
inline constexpr std::size_t kMaxMessage = 65535;    // the two-octet length of RFC 1035 4.2.2
inline constexpr std::size_t kMaxName = 255;         // RFC 1035 2.3.4
inline constexpr std::size_t kMaxLabel = 63;         // RFC 1035 2.3.4
inline constexpr std::uint16_t kPlainUdpSize = 512;  // RFC 1035 2.3.4
/// The largest UDP answer ever sent, fits one IPv6 packet on any path (DNS flag day 2020; BIND, Unbound, Knot: same).
inline constexpr std::uint16_t kMaxUdpResponse = 1232;

enum class Opcode : std::uint8_t { query = 0 };

/// RFC 1035 4.1.1, RFC 2136, RFC 6891 (BADVERS). Any other value is passed through as a number.
enum class Rcode : std::uint16_t {
  noerror = 0,
  formerr = 1,
  servfail = 2,
  nxdomain = 3,
  notimp = 4,
  refused = 5,
  badvers = 16,
};

namespace type {
inline constexpr std::uint16_t a = 1;
inline constexpr std::uint16_t ns = 2;
inline constexpr std::uint16_t cname = 5;
inline constexpr std::uint16_t soa = 6;
inline constexpr std::uint16_t aaaa = 28;
inline constexpr std::uint16_t opt = 41;
inline constexpr std::uint16_t ds = 43;       // RFC 4034
inline constexpr std::uint16_t nxname = 128;  // RFC 9824
inline constexpr std::uint16_t tkey = 249;
inline constexpr std::uint16_t tsig = 250;
inline constexpr std::uint16_t ixfr = 251;
inline constexpr std::uint16_t axfr = 252;
inline constexpr std::uint16_t any = 255;
}  // namespace type

namespace klass {
inline constexpr std::uint16_t in = 1;
inline constexpr std::uint16_t any = 255;
}  // namespace klass

/// Bits of the second 16-bit word of the header (RFC 1035 4.1.1, RFC 4035 for AD and CD).
namespace flag {
inline constexpr std::uint16_t qr = 0x8000;
inline constexpr std::uint16_t aa = 0x0400;
inline constexpr std::uint16_t tc = 0x0200;
inline constexpr std::uint16_t rd = 0x0100;
inline constexpr std::uint16_t ra = 0x0080;
inline constexpr std::uint16_t ad = 0x0020;
inline constexpr std::uint16_t cd = 0x0010;
inline constexpr std::uint16_t opcode_mask = 0x7800;
inline constexpr std::uint16_t rcode_mask = 0x000f;
}  // namespace flag

/// EDNS option codes (RFC 6891 9).
namespace option {
inline constexpr std::uint16_t nsid = 3;             // RFC 5001
inline constexpr std::uint16_t dau = 5;              // RFC 6975
inline constexpr std::uint16_t dhu = 6;              // RFC 6975
inline constexpr std::uint16_t n3u = 7;              // RFC 6975
inline constexpr std::uint16_t tcp_keepalive = 11;   // RFC 7828
inline constexpr std::uint16_t padding = 12;         // RFC 7830
inline constexpr std::uint16_t chain = 13;           // RFC 7901
inline constexpr std::uint16_t extended_error = 15;  // RFC 8914
inline constexpr std::uint16_t zoneversion = 19;     // RFC 9660
}  // namespace option

/// Extended DNS Errors that the relay itself says (RFC 8914 4).
enum class ExtendedError : std::uint16_t {
  other = 0,
  stale_answer = 3,
  stale_nxdomain_answer = 19,
  no_reachable_authority = 22,
  network_error = 23,
  invalid_query_type = 30,  // RFC 9824 5
};

}  // namespace dotrelay::dns
