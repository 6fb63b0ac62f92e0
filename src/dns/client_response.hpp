// Responses as the client gets them: an upstream's, fitted to its asker, or one of the relay's own.
// The upstream's octets are relayed; only the ID, the spelling of the question and the OPT record change.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"
#include "dns/special_names.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace dotrelay::dns {

/// How a query came in.
struct Transport {
  bool tcp = false;
  std::uint16_t keepalive = 0;  ///< the idle time-out in units of 100 ms; TCP only
};

/// What an answer must fit: kept for each waiting client, so it holds values and no views.
struct Asker {
  /// Made where it stays: copying what has just been put together from small parts stalls the processor.
  Asker(const QueryView& query, Transport transport);

  std::uint16_t id;
  std::uint16_t flags;  ///< of the query; opcode, RD and CD are repeated in answers of the relay's own
  bool edns;            ///< the query had an OPT: the answer gets one
  bool dnssec_ok;
  std::uint16_t size_limit;  ///< octets that the answer may have
  /// Answer edns-tcp-keepalive with this time-out in units of 100 ms (RFC 7828 3.1); over TCP and when asked only.
  std::optional<std::uint16_t> keepalive;
};

/// An Extended DNS Error to tell an EDNS client.
struct Explanation {
  ExtendedError code = ExtendedError::other;
  std::string_view text;
};

/// The size of a buffer that every answer fits.
inline constexpr std::size_t kResponseBuffer = kMaxMessage;

/// Fits `message`, parsed as `response`, to `asker`, who spelled the question's name as `name`. Returns the answer's
/// octets, in `buffer`. When they would exceed the asker's limit the options go first, then the additional records;
/// then the answer has TC set, with empty sections for an asker with EDNS and else with the answer records that fit.
/// The question of `response` must be there and be the asker's but for the spelling.
Bytes write_relayed_response(MutableBytes buffer, Bytes message, const ResponseView& response, const Asker& asker,
                             Bytes name);

/// The same for an answer whose own life is over and whose TTLs were set accordingly: an asker with EDNS is told so
/// (RFC 8914 4.4, 4.20), unless there is no room.
[[gnu::cold]] Bytes write_stale_response(MutableBytes buffer, Bytes message, const ResponseView& response,
                                         const Asker& asker, Bytes name);

/// An answer without records: an error, or the empty answer. `question`, spelled as the asker did, is repeated
/// when it is there.
Bytes write_error_response(MutableBytes buffer, const Asker& asker, const std::optional<Question>& question,
                           Rcode rcode, const std::optional<Explanation>& explanation);

/// The answer for a name of a local zone.
Bytes write_local_response(MutableBytes buffer, const Asker& asker, const Question& question,
                           const LocalAnswer& answer);

}  // namespace dotrelay::dns
