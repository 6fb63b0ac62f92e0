// What operators read of zones.
#pragma once

#include "config/config.hpp"

#include <span>
#include <string>
#include <vector>

namespace dotrelay {

/// "corp.example, 10.in-addr.arpa and 3 more"
std::string joined(std::span<const PlacedName> names);

/// "plaintext on purpose: cluster.local -> 10.96.0.10": one line for each zone that is asked for without TLS.
std::vector<std::string> plain_text_lines(const Config& config);

}  // namespace dotrelay
