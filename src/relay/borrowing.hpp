// Ways through siblings, where a server wants no more connections than other workers of the relay have, and what is
// learned of that limit. The other side is lending.hpp.
#pragma once

#include "base/clock.hpp"
#include "relay/environment.hpp"
#include "relay/upstream_set.hpp"

#include <string>

namespace dotrelay {

class Borrowing {
 public:
  /// The references outlive the object.
  Borrowing(const Environment& environment, UpstreamSet& upstreams)
      : upstreams_(upstreams),
        siblings_(environment.siblings),
        counters_(environment.counters),
        log_(environment.log) {}

  /// Makes a way to the address that can be used at once, if a sibling has one.
  [[gnu::cold]] void borrow(AddressIndex target, TimePoint now);

  /// Only an error is left for a query that may go to `among`: a sibling's connection to an upstream in trouble may do
  /// better, as an own one would. False: there is none.
  [[gnu::cold]] bool borrow_in_trouble(UpstreamMask among, TimePoint now);

  /// A dial to the address that began at `begun` was refused. True when the address is well all the same: its server
  /// serves siblings, or a sibling is about to find out.
  [[gnu::cold]] bool on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now);

  /// A query went through a sibling. True when it is time to ask the server for a connection again: the caller dials,
  /// and no query waits for it.
  [[gnu::cold]] [[nodiscard]] bool on_passed(AddressIndex index, TimePoint now);

 private:
  UpstreamSet& upstreams_;
  Siblings* const siblings_;
  Counters& counters_;
  Log& log_;
};

}  // namespace dotrelay
