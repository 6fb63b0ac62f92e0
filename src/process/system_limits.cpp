// See system_limits.hpp.
#include "process/system_limits.hpp"

#include "process/cgroup.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <sys/sysinfo.h>

namespace dotrelay {
namespace {

std::uint32_t affinity_cpus() {
  // 1,024 CPUs fit the plain set; a larger machine makes the call fail and counts as one that tells nothing.
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::uint32_t>(CPU_COUNT(&set)) : 1;
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc{} ? std::optional(number) : std::nullopt;
}

/// Rounded up: 1.5 CPUs are served by two workers.
std::uint32_t whole_cpus(std::optional<std::uint64_t> quota, std::optional<std::uint64_t> period) {
  if (!quota || !period || *quota == 0 || *period == 0) return UINT32_MAX;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(UINT32_MAX, (*quota + *period - 1) / *period));
}

/// The smallest quota of the cgroups that this process is in. "max" and -1 are none.
std::uint32_t quota_cpus() {
  std::uint32_t cpus = UINT32_MAX;
  for (const std::string& text : cgroup_values("cpu", "cpu.max")) {  // "quota period"
    const std::size_t space = std::min(text.find(' '), text.size() - 1);
    cpus = std::min(cpus, whole_cpus(number_in(text), number_in(std::string_view(text).substr(space + 1))));
  }
  const std::vector<std::string> quotas = cgroup_values("cpu", "cpu.cfs_quota_us");
  const std::vector<std::string> periods = cgroup_values("cpu", "cpu.cfs_period_us");
  for (std::size_t i = 0; i < std::min(quotas.size(), periods.size()); ++i) {
    cpus = std::min(cpus, whole_cpus(number_in(quotas[i]), number_in(periods[i])));
  }
  return cpus;
}

/// The smallest limit of the cgroups that this process is in. "max" is none.
std::uint64_t cgroup_memory() {
  std::uint64_t least = UINT64_MAX;
  for (const auto* const file : {"memory.max", "memory.high", "memory.limit_in_bytes"}) {
    for (const std::string& text : cgroup_values("memory", file))
      least = std::min(least, number_in(text).value_or(least));
  }
  return least;
}

std::uint64_t machine_memory() {
  struct sysinfo info {};
  return sysinfo(&info) == 0 ? std::uint64_t{info.totalram} * info.mem_unit : UINT64_MAX;
}

}  // namespace

std::uint32_t usable_cpus() { return std::max(1U, std::min(affinity_cpus(), quota_cpus())); }

std::uint64_t memory_for_relay() { return std::min(machine_memory() / 8, cgroup_memory() / 2); }

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

}  // namespace dotrelay
