// The promise that a relay is for: a client that asks while some upstream is well gets an answer and no SERVFAIL. This
// says from the plan alone, without looking at the forwarder, whether any upstream was well.
#pragma once

#include "plan.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace dotrelay::simulation {

/// For so long an address must have been well before the question: a dial begun in bad times takes kConnectLimit to
/// fail, and the back-off after it, with its jitter, is at most five quarters of Health::kMaxBackOff.
inline constexpr Duration kRecovery = milliseconds(3200 + 6250 + 550);
/// That is for when the query hangs at an upstream that has taken it and says nothing. While every other upstream shows
/// its trouble, back-off counts for nothing and each address is dialled every Health::kUrgentInterval; but one whose
/// certificate was wrong has its back-off in any case.
inline constexpr Duration kUrgentRecovery = seconds(1);

/// How much is promised.
enum class Promise : std::uint8_t {
  upstreams,  ///< an upstream is well when one of its addresses is, and its others are well or cannot be reached
  addresses,  ///< it is well when one of its addresses is
};

/// The number of one of these upstreams, all that may be asked, that was reachable, prompt, authentic and willing all
/// the time.
std::optional<std::size_t> well_upstream(const Plan& plan, Promise promise, const std::vector<std::size_t>& upstreams,
                                         TimePoint asked_at, TimePoint now);

/// Whether the first upstream was well on all its addresses, as fast as the configuration wants it, for so long that
/// the relay must have gone back to it.
bool first_is_well(const Plan& plan, TimePoint now);

/// Whether a client asked unanswerable names until a moment ago: an address that shares its place in the relay's table
/// may be refused with it.
bool is_flooded(const Plan& plan, TimePoint now);

}  // namespace dotrelay::simulation
