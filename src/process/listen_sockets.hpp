// The listening sockets, bound by the supervisor: one SO_REUSEPORT pair of UDP and TCP for each address and each
// worker. The supervisor holds them for good, so what clients send while a worker is replaced waits in them.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "net/unique_fd.hpp"

#include <vector>

namespace dotrelay {

struct SocketPair {
  UniqueFd udp;
  UniqueFd tcp;
};

/// One pair for each address.
using WorkerSockets = std::vector<SocketPair>;

struct ListenSockets {
  std::vector<WorkerSockets> by_worker;
  std::vector<Endpoint> addresses;  ///< those that were bound
};

/// Binds everything or nothing. Refuses an address that another process uses, unless share_port allows it. A default
/// address that this host does not have is left out with a warning.
Result<ListenSockets> open_listen_sockets(const ListenConfig& config, std::uint32_t workers, Log& log);

}  // namespace dotrelay
