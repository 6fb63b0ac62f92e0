// Compression pointers (RFC 1035 4.1.4) in records that move: when octets are cut out of a message, pointers behind the
// cut that lead behind it must lead to where their names stand then.
#pragma once

#include "base/bytes.hpp"
#include "dns/record_walk.hpp"

#include <cstddef>

namespace dotrelay::dns {

/// Octets that are cut out of a message: those from `begin` on, `size` of them.
struct Cut {
  std::size_t begin = 0;
  std::size_t size = 0;
  /// Of a root label before the cut, for pointers to `begin`, where a root label stood.
  std::size_t root = 0;
};

/// Corrects the pointers of `record`, which stands behind the cut in `message`. `copy` is the message without the cut.
/// Names are looked for in the owner and in the RDATA of types where they may be compressed (RFC 1035 3.3; RFC 3597 4
/// lists those that senders compress in spite of their definition). False when a name is malformed or leads into the
/// cut.
[[nodiscard, gnu::cold]] bool correct_pointers(MutableBytes copy, Bytes message, const Record& record, const Cut& cut);

/// What stands before the names in the RDATA of a type, and how many names there are; no names for a type that has
/// none or may not compress them.
struct RdataLayout {
  std::uint16_t type = 0;
  std::uint8_t octets = 0;             ///< before the first name
  std::uint8_t character_strings = 0;  ///< behind those octets (RFC 1035 3.3)
  std::uint8_t names = 0;
};
RdataLayout rdata_layout(std::uint16_t type);

}  // namespace dotrelay::dns
