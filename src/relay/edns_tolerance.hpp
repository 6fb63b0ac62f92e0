// Whether an upstream address understands EDNS. Servers of RFC 1035 answer a query that has an OPT with FORMERR or
// NOTIMP and no OPT of their own (RFC 6891 7); when the same query without an OPT gets another answer, that is why.
#pragma once

#include "base/clock.hpp"
#include "dns/message_view.hpp"

namespace dotrelay {

class EdnsTolerance {
 public:
  /// For so long it is asked without EDNS, and so without DNSSEC records and padding; then it is tried again.
  static constexpr Duration kRemembered = std::chrono::hours(1);

  [[nodiscard]] bool understands(TimePoint now) const { return now >= ignorant_until_; }

  /// It has refused a query with an OPT and answered it without one.
  void on_proof_of_ignorance(TimePoint now) { ignorant_until_ = now + kRemembered; }

  /// Whether an answer to a query with an OPT may mean that the server does not understand it.
  [[gnu::cold]] static bool may_be_ignorance(const dns::ResponseView& answer) {
    return !answer.opt && (answer.rcode() == dns::Rcode::formerr || answer.rcode() == dns::Rcode::notimp);
  }

 private:
  TimePoint ignorant_until_{};
};

}  // namespace dotrelay
