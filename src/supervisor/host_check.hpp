// Judges a configuration by the machine it is on: what the start refuses, what it can only serve later, and what it
// does without. `check`, the start and a reload ask here, so all three say the same. Takes no port.
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"

#include <string>
#include <vector>

namespace dotrelay {

/// Lines for a person, "FILE:LINE:COLUMN: words".
struct HostVerdict {
  std::vector<std::string> warnings;  ///< what works less than the file says, or not yet
  std::string refusal;                ///< what this process lacks the right to; empty: nothing
};

/// The error is what cannot work here at all.
Result<HostVerdict> judge_by_host(const Config& config, const std::string& file);

/// The listen addresses to which sockets can be bound now. Left out are those whose interface is not there, and where
/// the kernel has no IPv6 its wildcard and the default address.
std::vector<Endpoint> bindable_addresses(const ListenConfig& listen);

}  // namespace dotrelay
