// See system_limits.hpp.
#include "process/system_limits.hpp"

#include <algorithm>
#include <fstream>
#include <sched.h>
#include <string>
#include <sys/resource.h>

namespace dotrelay {
namespace {

std::uint32_t affinity_cpus() {
  // 1,024 CPUs fit the plain set; a larger machine makes the call fail and counts as one that tells nothing.
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::uint32_t>(CPU_COUNT(&set)) : 1;
}

std::uint32_t whole_cpus(double quota, double period) {
  if (quota <= 0 || period <= 0) return UINT32_MAX;
  // Rounded up: 1.5 CPUs are served by two workers.
  return static_cast<std::uint32_t>(quota / period + 0.999);
}

/// The quota that the container sees at the root of its cgroup file system, as Kubernetes and Docker set it.
std::uint32_t quota_cpus() {
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2) {
    std::string quota;
    double period = 0;
    if (v2 >> quota >> period && quota != "max") return whole_cpus(std::stod(quota), period);
    return UINT32_MAX;
  }
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  return quota_file >> quota && period_file >> period ? whole_cpus(quota, period) : UINT32_MAX;
}

}  // namespace

std::uint32_t usable_cpus() { return std::max(1U, std::min(affinity_cpus(), quota_cpus())); }

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

}  // namespace dotrelay
