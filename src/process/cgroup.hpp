// What the control groups of this process limit: the group itself and all groups above it count, as far as they can be
// seen from here. A service manager sets a limit on the service's own group, a container runtime on the root that the
// container sees.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dotrelay {

/// Where to look; the defaults are those of a running system.
struct CgroupFiles {
  std::string own = "/proc/self/cgroup";
  std::string mount = "/sys/fs/cgroup";
};

/// The first line of `file` in each group of this process that has it, of cgroup version 2 (where `controller` plays no
/// part) or of version 1. Empty when nothing limits.
std::vector<std::string> cgroup_values(std::string_view controller, std::string_view file,
                                       const CgroupFiles& files = {});

}  // namespace dotrelay
