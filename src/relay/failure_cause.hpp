// Why a query got no answer, in the words of EDE texts and log lines.
#pragma once

#include "base/clock.hpp"
#include "relay/query.hpp"
#include "relay/upstream_set.hpp"

#include <string>
#include <string_view>

namespace dotrelay {

/// While that is suspected, and the log's words when it is proven.
inline constexpr std::string_view kLargePacketsLost = "large packets are lost on this path (MTU?)";
/// An upstream's answer could not be read.
inline constexpr std::string_view kMalformedAnswer = "malformed answer";

/// One clause for each upstream that had a part in it, in the order of its upstreams; printable.
[[gnu::cold]] std::string failure_cause(const Query& query, const UpstreamSet& upstreams, TimePoint now);

}  // namespace dotrelay
