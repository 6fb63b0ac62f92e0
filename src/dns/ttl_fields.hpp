// The TTL fields of a message, by where they stand: ageing them in place, as what keeps a response must (RFC 1035
// 3.2.1), and writing others over them. Offsets may come from memory that another process scribbles over, so each one
// is checked.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <span>

namespace dotrelay::dns {

inline constexpr std::size_t kTtlSize = 4;

/// The greatest TTL: 31 bits (RFC 2181 8).
inline constexpr std::uint32_t kMaxTtl = 0x7fffffff;

/// What the field of a TTL means, in seconds: with the top bit set it is 0 (RFC 2181 8).
constexpr std::uint32_t meaning_of_ttl(std::uint32_t field) { return field > kMaxTtl ? 0 : field; }

/// Offsets of TTL fields in a message.
using TtlFields = std::span<const std::uint16_t>;

// Each function changes the fields one after the other. It returns false at the first that is not wholly in `message`;
// those before it have been changed then, so the message is good for nothing.

/// Takes `seconds` off each TTL, down to 0.
[[nodiscard]] bool age_ttls(MutableBytes message, TtlFields fields, std::uint32_t seconds);

/// Makes each TTL at most `limit` seconds.
[[nodiscard]] bool bound_ttls(MutableBytes message, TtlFields fields, std::uint32_t limit);

/// Makes each TTL `ttl` seconds, for a response whose own life is over (RFC 8767 4).
[[nodiscard]] bool set_ttls(MutableBytes message, TtlFields fields, std::uint32_t ttl);

}  // namespace dotrelay::dns
