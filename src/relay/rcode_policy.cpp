// See rcode_policy.hpp.
#include "relay/rcode_policy.hpp"

namespace dotrelay {

Meaning meaning_of_error(const dns::ResponseView& response, const UpstreamConfig& upstream) {
  const dns::Rcode rcode = response.rcode();
  const bool is_answer = rcode == dns::Rcode::noerror || rcode == dns::Rcode::nxdomain;
  if (!is_answer && response.blocked_by_policy()) return Meaning::final_error;
  if (!response.question) return Meaning::error;
  switch (rcode) {
    case dns::Rcode::refused:
      return upstream.refused_is_final ? Meaning::final_error : Meaning::error;
    case dns::Rcode::formerr:
    case dns::Rcode::notimp:
    case dns::Rcode::badvers:
      return Meaning::error;
    case dns::Rcode::servfail:
      return response.explained_by_dnssec() ? Meaning::final_error : Meaning::error;
    default:
      return Meaning::answer;
  }
}

}  // namespace dotrelay
