// The form in which a response is kept to be told again: without what its sender said about its hop alone. A cookie, a
// padding of hundreds of octets and the sender's UDP size mean nothing to a later client.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"

namespace dotrelay::dns {

/// Copies `message`, parsed as `response`, to `buffer`. An OPT that is the last record keeps the options that reach
/// clients, and goes when there are none and its RCODE bits are 0. One that is not the last record stays as it is,
/// because pointers may lead behind it. All other records stay where they are. Returns the copy; empty when it does not
/// fit.
[[nodiscard]] MutableBytes write_kept_response(MutableBytes buffer, Bytes message, const ResponseView& response);

}  // namespace dotrelay::dns
