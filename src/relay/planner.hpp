// The rule by which upstreams are chosen: what a query is to do next, said in one plan. It changes nothing; the Router
// acts on the plan.
#pragma once

#include "base/clock.hpp"
#include "relay/borrowing.hpp"
#include "relay/candidates.hpp"
#include "relay/trials.hpp"
#include "relay/upstream_set.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace dotrelay {

struct Plan {
  enum class Next : std::uint8_t {
    send,    ///< on `connection`
    dial,    ///< open a connection to `target`, and wait for it
    borrow,  ///< use a sibling's connection to `target`
    wait,    ///< for a dial that is under way
    nothing,
  };
  Next next = Next::nothing;
  ConnectionHandle connection{};
  AddressIndex target{};  ///< unless there is nothing
  /// The query is sent on `connection`, and there a copy of it, for a trial of an address in trouble; or none.
  ConnectionHandle copy{};
  /// Addresses in trouble that are to be dialled beside that.
  std::vector<AddressIndex> trials{};
};

class Planner {
 public:
  /// The references outlive the object.
  Planner(const UpstreamSet& upstreams, const Borrowing& borrowing, const Trials& trials, Duration patience)
      : upstreams_(upstreams), borrowing_(borrowing), trials_(trials), patience_(patience) {}

  /// Leads to the first open candidate in the query's order that works as far as is known. Mute connections never
  /// count. What is not trusted yet, or answers badly, comes after all that is good. A query that is not `patient`
  /// waits for no dial while any candidate has a connection.
  [[nodiscard]] Plan plan(const Candidates& candidates, bool patient, TimePoint now) const;

  /// Where another connection to the upstream should go, if it should, now that `used` has one more query: when even
  /// its least loaded connection has plenty.
  [[nodiscard]] std::optional<AddressIndex> wants_more(ConnectionHandle used, TimePoint now) const;

  /// Until when the dials to upstreams of `among` that are under way may take without being slow; `now` when there is
  /// none.
  [[nodiscard]] TimePoint prompt_dials_until(UpstreamMask among, TimePoint now) const;

  /// The same for a query that has no other upstream: an address that was never reached yet may take the patience, and
  /// an upstream that must wait with its next dial also counts.
  [[gnu::cold]] [[nodiscard]] TimePoint hope_until(UpstreamMask among, TimePoint now) const;

  /// Whether waiting can help a query that may use `among`: one of them is being dialled or may come back within
  /// seconds.
  [[gnu::cold]] [[nodiscard]] bool worth_waiting(UpstreamMask among) const;

 private:
  // A plan without copy and trials, or the part of one that these upstreams give.
  [[nodiscard]] Plan choose(const Candidates& candidates, bool patient, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] Plan choose_second_best(const Candidates& candidates, TimePoint now) const;
  [[nodiscard]] ConnectionHandle trusted_connection(std::size_t index, TimePoint fresh_since, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] Plan wait_or_dial(std::size_t index, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] Plan dial_settled(std::size_t index, TimePoint now) const;
  [[gnu::cold]] [[nodiscard]] Plan choose_unsettled(std::size_t index, TimePoint now) const;
  [[nodiscard]] bool may_dial(AddressIndex index, TimePoint now) const;

  const UpstreamSet& upstreams_;
  const Borrowing& borrowing_;
  const Trials& trials_;
  const Duration patience_;
};

}  // namespace dotrelay
