// Ways through siblings, where a server wants no more connections than other workers of the relay have, and what is
// learned of that limit. The other side is lending.hpp.
#pragma once

#include "base/clock.hpp"
#include "relay/environment.hpp"
#include "relay/upstream_order.hpp"
#include "relay/upstream_set.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace dotrelay {

class Borrowing {
 public:
  /// Ways through siblings to one address, those that are mute included.
  static constexpr std::size_t kMaxBorrowed = 8;

  /// The references outlive the object.
  Borrowing(const Environment& environment, UpstreamSet& upstreams)
      : upstreams_(upstreams),
        siblings_(environment.siblings),
        counters_(environment.counters),
        log_(environment.log),
        random_(environment.random),
        patience_(environment.patience()) {}

  // What siblings have.
  /// Whether a query is to go through a sibling because this worker gets no connection of its own.
  [[gnu::cold]] [[nodiscard]] bool must_borrow(AddressIndex index, TimePoint now) const;
  /// The same when an own connection is slow in coming, or can only be waited for while the sibling's is mute.
  [[gnu::cold]] [[nodiscard]] bool may_borrow(AddressIndex index, TimePoint now) const;
  /// The server has refused a connection beside a sibling's, and a sibling has one still.
  [[gnu::cold]] [[nodiscard]] bool limited(AddressIndex index, TimePoint now) const;
  /// The own dial was refused, and a sibling is dialling.
  [[gnu::cold]] [[nodiscard]] bool awaits_dial(AddressIndex index, TimePoint now) const;
  /// Whether any query may be waiting for a sibling's connection; once more when the time for that is over.
  [[nodiscard]] bool awaits_sibling(TimePoint now) {
    const TimePoint until = await_until_;
    if (now >= until) await_until_ = {};
    return until != TimePoint{};
  }
  /// Whether it must be looked for a sibling's connection from time to time.
  [[nodiscard]] bool must_look() const { return await_until_ != TimePoint{}; }

  // What is done about it.
  /// Makes a way to the address that can be used at once, if a sibling has one.
  [[gnu::cold]] void borrow(AddressIndex target, TimePoint now);

  /// Only an error is left for a query that may go to `among`: a sibling's connection to an upstream in trouble may do
  /// better, as an own one would. False: there is none.
  [[gnu::cold]] bool borrow_in_trouble(const UpstreamOrder& among, TimePoint now);

  /// A dial to the address that began at `begun` was refused. True when the address is well all the same: its server
  /// serves siblings, or a sibling is about to find out.
  [[gnu::cold]] bool on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now);

  /// A query went through a sibling. True when it is time to ask the server for a connection again: the caller dials,
  /// and no query waits for it.
  [[gnu::cold]] [[nodiscard]] bool on_passed(AddressIndex index, TimePoint now);

 private:
  [[nodiscard]] bool gets_none(AddressIndex index, TimePoint now) const;
  [[nodiscard]] std::uint16_t lender_for(AddressIndex index, bool again, TimePoint now) const;
  [[nodiscard]] std::optional<AddressIndex> lent_in_trouble(const UpstreamOrder& among, TimePoint now) const;
  void await_sibling(AddressIndex index, TimePoint now);

  UpstreamSet& upstreams_;
  Siblings* const siblings_;
  Counters& counters_;
  Log& log_;
  Random& random_;
  const Duration patience_;
  TimePoint await_until_{};
};

}  // namespace dotrelay
