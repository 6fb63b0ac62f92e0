// See listen_sockets.hpp.
#include "supervisor/listen_sockets.hpp"

#include "net/host_addresses.hpp"
#include "net/sockets.hpp"
#include "supervisor/host_check.hpp"

#include <algorithm>
#include <cerrno>
#include <thread>

namespace dotrelay {
namespace {

Error cannot_listen(const Endpoint& endpoint, Protocol protocol, int error) {
  std::string text = "cannot listen on " + endpoint.to_text() + (protocol == Protocol::udp ? " (UDP): " : " (TCP): ") +
                     errno_text(error);
  if (error == EADDRINUSE)
    text += "; another program, or another dotrelay, serves it (listen.share_port = true allows a second dotrelay)";
  if (error == EACCES) text += "; ports below 1024 need CAP_NET_BIND_SERVICE";
  return Error{text};
}

constexpr Duration kDepartureStep = std::chrono::milliseconds(20);

/// TCP first: a relay that serves is found there, so that no probe on UDP shares its port even for a moment, and of two
/// relays that claim the same address only one gets to UDP.
constexpr Protocol kProtocols[] = {Protocol::tcp, Protocol::udp};

/// 0, or the errno of whichever protocol cannot be bound.
int probe(const Endpoint& endpoint, Protocol& protocol) {
  for (const Protocol candidate : kProtocols) {
    protocol = candidate;
    if (const int error = probe_bind(endpoint, candidate)) return error;
  }
  return 0;
}

/// Whether sockets of both addresses cannot be told apart by a probe: 0.0.0.0:53 and 127.0.0.1:53.
bool overlap(const Endpoint& one, const Endpoint& other) {
  if (one.port != other.port || one.address.is_v6 != other.address.is_v6) return false;
  return one.address == other.address || one.address.is_unspecified() || other.address.is_unspecified();
}

}  // namespace

SocketLease::~SocketLease() {
  if (pair_ == nullptr || --pair_->leases > 0) return;
  owner_->pairs_.remove_if([this](const SocketPair& pair) { return &pair == pair_; });
}

Result<std::vector<WorkerSockets>> ListenSockets::lease(const ListenConfig& config, std::uint32_t workers) {
  const std::vector<Endpoint> addresses = bindable_addresses(config);
  if (addresses.empty()) return Error{"cannot listen: this machine has none of the addresses"};
  for (const Endpoint& address : addresses) {
    Protocol protocol{};
    const int error = is_ours(address) ? 0 : probe(address, protocol);
    const bool shared = error == EADDRINUSE && config.share_port;
    if (error != 0 && !shared) return cannot_listen(address, protocol, error);
  }

  std::vector<WorkerSockets> sockets;
  for (std::uint32_t worker = 1; worker <= workers; ++worker) {
    WorkerSockets& leases = sockets.emplace_back();
    for (const Endpoint& address : addresses) {
      Result<SocketLease> lease = lease_pair(address, worker, config.share_port);
      if (!lease) return lease.error();
      leases.push_back(std::move(*lease));
    }
  }
  return sockets;
}

void ListenSockets::await_departure(const ListenConfig& config) {
  const TimePoint end = Clock::now() + kDepartureLimit;
  for (const Endpoint& address : config.addresses) {
    Protocol protocol{};
    while (!config.share_port && probe(address, protocol) == EADDRINUSE && is_shared_by_this_user(address, protocol) &&
           Clock::now() < end) {
      std::this_thread::sleep_for(kDepartureStep);
    }
  }
}

bool ListenSockets::is_ours(const Endpoint& address) const {
  return std::ranges::any_of(pairs_, [&](const SocketPair& pair) {
    return pair.stage != SocketPair::Stage::opened && overlap(pair.address, address);
  });
}

Result<SocketLease> ListenSockets::lease_pair(const Endpoint& address, std::uint32_t worker, bool share_port) {
  // An interface that was made anew has another index, and sockets of the old one get nothing from it.
  const std::uint32_t interface = address.scope.empty() ? 0 : interface_index(address.scope);
  const auto known = std::ranges::find_if(pairs_, [&](const SocketPair& pair) {
    return pair.address == address && pair.interface == interface && pair.worker == worker &&
           pair.stage != SocketPair::Stage::left;
  });
  if (known != pairs_.end()) return SocketLease(*this, *known);
  SocketPair pair;
  pair.address = address;
  pair.interface = interface;
  pair.worker = worker;
  pair.share_port = share_port;
  int error = 0;
  pair.udp = make_listener(address, Protocol::udp, error);
  if (!pair.udp) return cannot_listen(address, Protocol::udp, error);
  pair.tcp = make_listener(address, Protocol::tcp, error);
  if (!pair.tcp) return cannot_listen(address, Protocol::tcp, error);
  return SocketLease(*this, pairs_.emplace_back(std::move(pair)));
}

Status ListenSockets::join(const std::vector<WorkerSockets>& sockets) {
  for (const WorkerSockets& leases : sockets) {
    for (const SocketLease& lease : leases) {
      if (lease.pair().stage != SocketPair::Stage::opened) continue;
      if (const Status joined = join(lease.pair()); !joined) return joined;
    }
  }
  return ok();
}

Status ListenSockets::join(SocketPair& pair) {
  const bool joins_others = pair.share_port || is_ours(pair.address);
  for (const Protocol protocol : kProtocols) {
    const int fd = protocol == Protocol::udp ? pair.udp.get() : pair.tcp.get();
    if (const int error = (joins_others ? join_port : claim_port)(fd, pair.address, protocol)) {
      return cannot_listen(pair.address, protocol, error);
    }
  }
  pair.stage = SocketPair::Stage::joined;
  return ok();
}

Result<bool> ListenSockets::restore(SocketPair& pair) {
  bool needed = false;
  for (const Protocol protocol : kProtocols) {
    UniqueFd& socket = protocol == Protocol::udp ? pair.udp : pair.tcp;
    if (pair.stage != SocketPair::Stage::joined || !socket || !has_left_port(socket.get(), protocol)) continue;
    int error = 0;
    UniqueFd fresh = make_listener(pair.address, protocol, error);
    if (fresh) error = join_port(fresh.get(), pair.address, protocol);
    if (error != 0) return cannot_listen(pair.address, protocol, error);
    socket = std::move(fresh);
    needed = true;
  }
  return needed;
}

SocketLease ListenSockets::adopt(SocketPair pair) {
  if (pair.stage == SocketPair::Stage::opened) pair.stage = SocketPair::Stage::joined;
  pair.leases = 0;
  if (pair.udp) pair.interface = bound_interface(pair.udp.get());
  return SocketLease(*this, pairs_.emplace_back(std::move(pair)));
}

}  // namespace dotrelay
