// See generation_parts.hpp.
#include "supervisor/generation_parts.hpp"

#include "config/parser.hpp"
#include "process/descriptor_plan.hpp"
#include "process/memory_plan.hpp"
#include "process/memory_text.hpp"
#include "process/system_limits.hpp"
#include "relay/health.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

constexpr Duration kLongestDeadline = std::chrono::seconds(60);

void map_shared(GenerationParts& parts, int fd) {
  if (fd < 0) return;
  if (Result<SharedState> shared = SharedState::map(UniqueFd(fd))) parts.shared.emplace(std::move(*shared));
}

UpgradeState::Workers running_workers(const Generation& generation) {
  const auto& shared = generation.parts().shared;
  const auto& cache = generation.parts().cache;
  return {
      .shared = shared ? shared->fd() : -1, .running = generation.running_workers(), .cache = cache ? cache->fd() : -1};
}

void map_cache(GenerationParts& parts, int fd) {
  if (fd < 0) return;
  if (Result<SharedCache> cache = SharedCache::map(UniqueFd(fd))) parts.cache.emplace(std::move(*cache));
}

/// Of a generation that retires.
UpgradeState::Workers retiring_workers(const Generation& generation) {
  UpgradeState::Workers workers = running_workers(generation);
  for (const WorkerSockets& leases : generation.parts().sockets) {
    for (const SocketLease& lease : leases) {
      const Endpoint& address = lease.pair().address;
      if (std::ranges::find(workers.holds, address) == workers.holds.end()) workers.holds.push_back(address);
    }
  }
  return workers;
}

}  // namespace

std::uint32_t wanted_workers(const Config& config) {
  if (config.listen.workers != 0) return config.listen.workers;
  const std::uint64_t memory = config.limits.memory != 0 ? config.limits.memory : memory_for_relay();
  return workers_for_memory(memory, std::min(usable_cpus(), kMaxWorkers));
}

Result<GenerationParts> make_parts(LoadedConfig loaded, const std::string& config_file, ListenSockets& sockets,
                                   Log& log) {
  if (!loaded.verdict.refusal.empty()) return Error{loaded.verdict.refusal};
  const ListenConfig& listen = loaded.config.listen;
  const std::uint32_t workers = wanted_workers(loaded.config);
  if (Status enough = check_descriptors(loaded.config, workers, raise_descriptor_limit()); !enough) {
    return enough.error();
  }
  GenerationParts parts;
  Result<std::vector<WorkerSockets>> leased = sockets.lease(listen, workers);
  if (!leased) return leased.error();
  Result<SharedState> shared = SharedState::create(workers, loaded.config.address_count());
  if (!shared) return shared.error();
  const std::size_t octets =
      cache_octets(loaded.config.cache, memory_limit(loaded.config.limits.memory, memory_for_relay(), workers));
  if (octets > 0) {
    Result<SharedCache> cache = SharedCache::create(octets);
    if (!cache) return cache.error();
    parts.cache.emplace(std::move(*cache));
  }
  Result<UniqueFd> memory = into_memory(loaded.text);
  if (!memory) return memory.error();
  Result<std::vector<Mailbox>> mailboxes = make_mailboxes(workers);
  if (!mailboxes) return mailboxes.error();
  for (const std::string& warning : loaded.warnings) log.warning(warning);
  parts.sockets = std::move(*leased);
  parts.shared.emplace(std::move(*shared));
  parts.config_memory = std::move(*memory);
  parts.mailboxes = std::move(*mailboxes);
  parts.config = std::move(loaded.config);
  parts.config_file = config_file;
  for (const std::string& warning : loaded.verdict.warnings) log.warning(warning);
  return parts;
}

void carry_cache(const GenerationParts& from, GenerationParts& to) {
  if (!from.cache || !to.cache || from.cache->size() != to.cache->size() || !answers_alike(from.config, to.config)) {
    return;
  }
  if (Result<SharedCache> shared = from.cache->share()) to.cache.emplace(std::move(*shared));
}

void carry_health(const GenerationParts& from, GenerationParts& to) {
  if (!from.shared || !to.shared) return;
  const auto same = [](const UpstreamConfig& left, const UpstreamConfig& right) {
    return left.transport == right.transport && left.tls_name == right.tls_name && left.ca_file == right.ca_file &&
           left.pins == right.pins && left.egress == right.egress;
  };
  std::size_t number = 0;
  for (const UpstreamConfig& upstream : to.config.upstreams) {
    for (const Endpoint& endpoint : upstream.addresses) {
      SharedHealth& health = to.shared->health()[number++];
      for (std::size_t i = 0; i < from.config.upstreams.size(); ++i) {
        const UpstreamConfig& old = from.config.upstreams[i];
        const auto found = std::ranges::find(old.addresses, endpoint);
        if (found == old.addresses.end() || !same(old, upstream)) continue;
        const auto address = static_cast<std::size_t>(found - old.addresses.begin());
        const std::size_t known = from.config.address_number(i, address);
        if (known < from.shared->health().size()) copy_health(from.shared->health()[known], health);
      }
    }
  }
}

GenerationParts adopt_parts(const UpgradeState& state, const std::string& config_file, ListenSockets& sockets) {
  GenerationParts parts;
  parts.config_file = config_file;
  parts.config_memory = UniqueFd(state.config);
  parts.config.relay.deadline = kLongestDeadline;
  if (auto config = parse_config(text_in_memory(state.config), config_file)) parts.config = std::move(*config);
  map_shared(parts, state.generations.front().shared);
  map_cache(parts, state.generations.front().cache);
  for (const UpgradeState::Listener& listener : state.listeners) {
    SocketPair pair;
    pair.address = listener.address;
    pair.worker = listener.worker;
    pair.udp = UniqueFd(listener.udp);
    pair.tcp = UniqueFd(listener.tcp);
    while (parts.sockets.size() < listener.worker) parts.sockets.emplace_back();
    parts.sockets[listener.worker - 1].push_back(sockets.adopt(std::move(pair)));
  }
  for (const UpgradeState::WorkerMailbox& mailbox : state.mailboxes) {
    parts.mailboxes.push_back({UniqueFd(mailbox.reading), UniqueFd(mailbox.writing)});
  }
  return parts;
}

GenerationParts adopt_retiring_parts(const UpgradeState::Workers& workers, Duration deadline, ListenSockets& sockets) {
  GenerationParts parts;
  parts.config.relay.deadline = deadline;
  map_shared(parts, workers.shared);
  map_cache(parts, workers.cache);
  for (const Endpoint& address : workers.holds) {
    SocketPair pair;  // without sockets: only the workers have them
    pair.address = address;
    pair.stage = SocketPair::Stage::left;
    if (parts.sockets.empty()) parts.sockets.emplace_back();
    parts.sockets.front().push_back(sockets.adopt(std::move(pair)));
  }
  return parts;
}

UpgradeState make_upgrade_state(const std::string& program, const Generation& current,
                                const RetiringGenerations& retiring, const Totals& totals) {
  UpgradeState state;
  state.program = program;
  state.config = current.parts().config_memory.get();
  for (const WorkerSockets& leases : current.parts().sockets) {
    for (const SocketLease& lease : leases) {
      const SocketPair& pair = lease.pair();
      state.listeners.push_back({pair.address, pair.worker, pair.udp.get(), pair.tcp.get()});
    }
  }
  for (std::uint32_t number = 1; const Mailbox& mailbox : current.parts().mailboxes) {
    state.mailboxes.push_back({number++, mailbox.reading.get(), mailbox.writing.get()});
  }
  state.generations.push_back(running_workers(current));
  for (const auto& generation : retiring) state.generations.push_back(retiring_workers(*generation));
  state.counters = totals;
  return state;
}

}  // namespace dotrelay
