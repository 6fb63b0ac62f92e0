// What an upstream's answer means for a query: the RCODE policy of docs/manual.md.
#pragma once

#include "config/config.hpp"
#include "dns/message_view.hpp"

#include <cstdint>

namespace dotrelay {

enum class Meaning : std::uint8_t {
  answer,       ///< NOERROR, NXDOMAIN, and other RCODEs that say something about the question
  final_error,  ///< true of the domain (DNSSEC) or the upstream's policy (a filter): asking another would bypass it
  error,        ///< may be the upstream's own trouble: the next one is asked
};

/// Of an answer that is no NOERROR with a question: see meaning_of().
[[gnu::cold]] Meaning meaning_of_error(const dns::ResponseView& response, const UpstreamConfig& upstream);

/// `upstream`: whose answer it is.
inline Meaning meaning_of(const dns::ResponseView& response, const UpstreamConfig& upstream) {
  if (response.question && response.rcode() == dns::Rcode::noerror) return Meaning::answer;
  return meaning_of_error(response, upstream);
}

}  // namespace dotrelay
