// What the system allows this process: CPUs, memory and descriptors.
#pragma once

#include <cstdint>

namespace dotrelay {

/// The CPUs of the affinity mask, bounded by the CPU quota of the cgroup (version 2 or 1); at least 1.
std::uint32_t usable_cpus();

/// Octets that a relay may take here when the configuration does not say how many: an eighth of the machine's memory or
/// half of what the cgroup (version 2 or 1) allows, whichever is less.
std::uint64_t memory_for_relay();

/// Raises the soft limit of open files to the hard one. Returns the limit in force.
std::uint64_t raise_descriptor_limit();

}  // namespace dotrelay
