// Domain names in wire format (RFC 1035 3.1): reading past them, comparing and printing. Length octets are below 64 and
// so below the letters, which is why whole names can be compared octet by octet with letters folded (RFC 4343).
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace dotrelay::dns {

inline std::uint8_t fold_case(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20) : octet;
}

/// Reads a name without compression (what a QNAME must be: nothing stands before it that it could point to). Returns
/// its octets with the root label, or nothing when it is malformed.
Bytes read_plain_name(ByteReader& reader);

/// Moves past a name that may end in a compression pointer; the pointer is not followed, but must point before the
/// name, counted from the beginning of what the reader reads. False when malformed.
bool skip_name(ByteReader& reader);

/// RFC 4343: ASCII letters compare without case.
bool same_name(Bytes left, Bytes right);

/// Whether `name` is `suffix` or below it. Both plain; `suffix` in lower case.
bool is_at_or_below(Bytes name, Bytes suffix);

/// Presentation format with a trailing dot, escapes of RFC 1035 5.1; "." for the root.
std::string to_text(Bytes name);

/// Which letters of a name are capitals: enough to give each of several clients its own spelling back.
class Spelling {
 public:
  Spelling() = default;
  explicit Spelling(Bytes name);

  /// Writes this spelling over `name`, which must be the same name in any spelling.
  void apply(MutableBytes name) const;

  friend bool operator==(const Spelling&, const Spelling&) = default;

 private:
  std::array<std::uint8_t, (kMaxName + 7) / 8> capitals_{};
};

}  // namespace dotrelay::dns
