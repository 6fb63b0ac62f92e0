// How long an upstream's response may be kept, by what it says itself: the least TTL of its records (RFC 1035 3.2.1,
// RFC 2181 8), for a negative one no longer than its SOA allows (RFC 2308 5). And where its TTLs stand, for those are
// counted down in what is kept. What a cache makes of that (its own bounds, failures, stale data) is in src/cache.
//
// Signatures shorten nothing here: RFC 4035 5.3.3 speaks to validators, and the relay is none.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"

#include <cstdint>
#include <span>

namespace dotrelay::dns {

enum class ResponseKind : std::uint8_t {
  positive,  ///< NOERROR with a record of the type that was asked for, at the end of the CNAMEs
  nodata,    ///< NOERROR without one (RFC 2308 2.2), referrals included
  nxdomain,  ///< of the name or of the end of its CNAMEs (RFC 2308 2.1, RFC 6604 3)
  failure,   ///< any other RCODE: it says nothing of its life (RFC 9520)
};

/// Why a response may not be kept.
enum class Obstacle : std::uint8_t {
  none,
  malformed,         ///< or without a question, or of another opcode than QUERY
  truncated,         ///< TC is set (RFC 2181 9)
  too_many_records,  ///< more than there is room for their TTL fields
  no_soa,            ///< negative without an SOA that could be read (RFC 2308 5)
  zero_ttl,          ///< of a record, or of the SOA's MINIMUM in a negative one
};

/// Of a negative response, in seconds (RFC 2308 5: one to three hours work well).
inline constexpr std::uint32_t kMaxNegativeLifetime = 3 * 3600;

struct Lifetime {
  ResponseKind kind = ResponseKind::failure;  ///< of what may be kept
  Obstacle obstacle = Obstacle::none;
  std::uint32_t seconds = 0;    ///< at least 1; 0 for a failure and for what may not be kept
  std::uint16_t ttl_count = 0;  ///< offsets that were written

  [[nodiscard]] bool may_be_kept() const { return obstacle == Obstacle::none; }
};

/// Judges `message`, parsed as `response`. Writes to `ttl_fields` the offsets in `message` of the TTLs of all records
/// but OPT, whose TTL is none (RFC 6891 6.1.3), in ascending order.
[[nodiscard]] Lifetime lifetime_of(Bytes message, const ResponseView& response, std::span<std::uint16_t> ttl_fields);

}  // namespace dotrelay::dns
