// The query that the relay itself asks upstream: the client's question and flags, an OPT of the relay's own, over TLS
// padded to a multiple of 128 octets (RFC 8467 4.1), which hides the name's length from observers of the path.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace dotrelay::dns {

inline constexpr std::size_t kPaddingBlock = 128;

/// The most octets of EDNS options that a query may carry upstream. The longest sensible ones (a CHAIN name and lists
/// of algorithms) need about 300.
inline constexpr std::size_t kMaxCarriedOptions = 1024;

/// Flags of a query that go up as they came.
inline constexpr std::uint16_t kQueryFlags = flag::rd | flag::ad | flag::cd;

/// The options of `opt` that go upstream, as they stand; nothing when they are more than kMaxCarriedOptions octets.
std::optional<std::vector<std::uint8_t>> carried_options(const Opt& opt);

struct UpstreamQuery {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;  ///< of kQueryFlags only
  Question question;
  bool dnssec_ok = false;
  Bytes options;       ///< as from carried_options()
  bool edns = true;    ///< false: without an OPT, so without DO, options and padding
  bool padded = true;  ///< never where the transport is not encrypted (RFC 7830 6)
};

/// The largest message that write_upstream_query() makes.
inline constexpr std::size_t kMaxUpstreamQuery = 1536;
static_assert(kMaxUpstreamQuery % kPaddingBlock == 0 &&
              kMaxUpstreamQuery >= kHeaderSize + kMaxName + 4 + kOptFixedSize + kMaxCarriedOptions + kPaddingBlock);

/// Writes the message, without a length prefix, to a buffer of at least kMaxUpstreamQuery octets. Returns its size.
std::size_t write_upstream_query(MutableBytes buffer, const UpstreamQuery& query);

}  // namespace dotrelay::dns
