// Which addresses in trouble are due to be tried again, by a dial or with a copy of a query.
#pragma once

#include "base/clock.hpp"
#include "relay/upstream_mask.hpp"
#include "relay/upstream_order.hpp"
#include "relay/upstream_set.hpp"

#include <optional>
#include <vector>

namespace dotrelay {

class Trials {
 public:
  /// The set outlives the object.
  explicit Trials(UpstreamSet& upstreams) : upstreams_(upstreams) {}

  /// The addresses of `among` that are due for a trial by a new connection: those of upstreams without one, and where
  /// a query is sent to `used`, those before it at its upstream, and itself when only connections from before its
  /// trouble answer; what comes after `used` in the order is not tried.
  [[nodiscard]] std::vector<AddressIndex> due(const UpstreamOrder& among, std::optional<AddressIndex> used,
                                              TimePoint now) const {
    return find(among, used, false, now);
  }
  /// The same while queries wait and nothing is usable: then dials under way do not count as long as there are fewer
  /// than kMaxDials.
  [[gnu::cold]] [[nodiscard]] std::vector<AddressIndex> urgent(UpstreamMask among, TimePoint now) const {
    return find(among, std::nullopt, true, now);
  }
  /// Begins the trial: another worker does not. False when it is one that has just begun there.
  [[gnu::cold]] [[nodiscard]] bool claim(AddressIndex target, bool urgent, TimePoint now);

  /// A ready connection to an address of `among` before `before`, whose upstream is in it, that is in trouble and due
  /// to be tried with a copy of a query, unless a dial that is in `dialled` will be the trial; none when there is none.
  [[nodiscard]] ConnectionHandle copy(const UpstreamOrder& among, AddressIndex before,
                                      const std::vector<AddressIndex>& dialled, TimePoint now) const;

  /// Tells the other workers which addresses have a handshake under way here, so that they dial them less often.
  [[gnu::cold]] void note_handshakes(TimePoint now);

  /// When a trial of `urgent` upstreams is next due.
  [[nodiscard]] TimePoint next_event(UpstreamMask urgent, TimePoint now) const;

 private:
  [[nodiscard]] std::vector<AddressIndex> find(const UpstreamOrder& among, std::optional<AddressIndex> used,
                                               bool urgent, TimePoint now) const;
  [[nodiscard]] bool proves_itself(AddressIndex index, TimePoint now) const;
  [[nodiscard]] bool wants_trial(AddressIndex index, bool beside, TimePoint now) const;
  [[nodiscard]] bool probes_route(AddressIndex index, TimePoint now) const;
  [[nodiscard]] TimePoint next_urgent_dial(AddressIndex index, TimePoint now) const;

  UpstreamSet& upstreams_;
};

}  // namespace dotrelay
