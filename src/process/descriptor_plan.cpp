// See descriptor_plan.hpp.
#include "process/descriptor_plan.hpp"

#include "process/inheritance.hpp"
#include "relay/upstream_set.hpp"

#include <algorithm>

namespace dotrelay {

std::uint64_t supervisor_descriptors(std::size_t listen_addresses, std::uint32_t workers) {
  constexpr std::uint64_t kMemories = 3;
  constexpr std::uint64_t kControls = 2;
  const std::uint64_t mailboxes = workers > 1 ? 2 : 0;
  return kOwnDescriptors + 2 * (kMemories + workers * (kControls + mailboxes)) +
         workers * 2 * std::uint64_t{listen_addresses};
}

std::uint64_t worker_descriptors(std::size_t inherited, std::size_t upstreams) {
  return kOwnDescriptors + inherited + upstreams * (UpstreamSet::kMaxConnections + UpstreamSet::kMaxDials);
}

Status check_descriptors(const Config& config, std::uint32_t workers, std::uint64_t limit) {
  const std::size_t addresses = config.listen.addresses.size();
  Inheritance inheritance;
  inheritance.listeners.resize(addresses);
  inheritance.cache = 0;
  if (workers > 1) {
    inheritance.mailbox = 0;
    inheritance.mailboxes.resize(workers);
  }
  const std::uint64_t supervisor = supervisor_descriptors(addresses, workers);
  const std::uint64_t worker =
      worker_descriptors(inheritance.descriptors().size(), config.upstreams.size()) + kLeastTcpClients;
  const std::uint64_t needed = std::max(supervisor, worker);
  if (limit >= needed) return ok();
  return Error{"the limit of open files (nofile) is " + std::to_string(limit) + ", and this configuration needs " +
               std::to_string(needed) + " (supervisor " + std::to_string(supervisor) + ", each worker " +
               std::to_string(worker) + "): raise it with ulimit -n, LimitNOFILE= or the container's settings"};
}

}  // namespace dotrelay
