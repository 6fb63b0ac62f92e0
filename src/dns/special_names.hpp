// Names that never leave this machine: resolver.arpa without data (RFC 9462 6.4), onion (RFC 7686 2) and localhost (RFC
// 6761 6.3).
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"

#include <optional>

namespace dotrelay::dns {

/// How a special name is answered.
struct LocalAnswer {
  Rcode rcode = Rcode::nxdomain;
  Bytes address;  ///< RDATA of one address record, empty for none; static storage
};

/// Nothing for an ordinary name.
std::optional<LocalAnswer> find_local_answer(const Question& question);

}  // namespace dotrelay::dns
