// Names that stand in a message and may be compressed (RFC 1035 4.1.4): comparing them without a copy. Pointers are
// followed, so the work is bounded here: each must lead further back, and a name ends after kMaxSteps.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>

namespace dotrelay::dns {

/// A name has at most 127 labels and the root (255 octets, RFC 1035 2.3.4), and a pointer may stand behind each label.
inline constexpr int kMaxSteps = 255;

/// Whether the names at octets `left` and `right` of `message` are the same but for the case of letters. False when one
/// of them is malformed: it leaves the message, a pointer does not lead back, or it takes more than kMaxSteps. Names
/// that lead to one octet are the same from there on, and what follows is not read.
[[nodiscard]] bool same_name_in(Bytes message, std::size_t left, std::size_t right);

}  // namespace dotrelay::dns
