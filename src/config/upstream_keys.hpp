// What [[upstream]] and [[local_upstream]] have in common. Each setter writes to the latest upstream.
#pragma once

#include "config/setters.hpp"

namespace dotrelay {

inline UpstreamConfig& latest_upstream(const KeyTarget& target) { return target.config.upstreams.back(); }

/// The row's range is one of characters.
KeyProblem take_upstream_name(const KeyTarget& target, std::string_view text);

void clear_upstream_addresses(const KeyTarget& target);
KeyProblem take_upstream_address(const KeyTarget& target, std::string_view text, std::uint16_t default_port);

/// What the latest upstream, of that table, asks of those before: a name of its own, and room.
MaybeProblem judge_place(const Config& config, std::string_view table);

}  // namespace dotrelay
