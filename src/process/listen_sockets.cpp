// See listen_sockets.hpp.
#include "process/listen_sockets.hpp"

#include "net/sockets.hpp"

#include <algorithm>
#include <cerrno>

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

bool host_lacks(int error) { return error == EADDRNOTAVAIL || error == EAFNOSUPPORT; }

/// 0, or the errno of whichever protocol cannot be bound.
int probe(const Endpoint& endpoint, Protocol& protocol) {
  for (const Protocol candidate : {Protocol::udp, Protocol::tcp}) {
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

Result<std::vector<WorkerSockets>> ListenSockets::lease(const ListenConfig& config, std::uint32_t workers, Log& log) {
  std::vector<Endpoint> addresses;
  for (const Endpoint& address : config.addresses) {
    Protocol protocol{};
    const bool ours =
        std::ranges::any_of(pairs_, [&](const SocketPair& pair) { return overlap(pair.address, address); });
    const int error = ours ? 0 : probe(address, protocol);
    if (host_lacks(error) && config.addresses_are_default) {
      log.warning("not listening on the default address " + address.to_text() + ": " + errno_text(error));
      continue;
    }
    const bool shared = error == EADDRINUSE && config.share_port;
    if (error != 0 && !shared) return cannot_listen(address, protocol, error);
    addresses.push_back(address);
  }
  if (addresses.empty()) return Error{"cannot listen: this machine has none of the default addresses"};

  std::vector<WorkerSockets> sockets;
  for (std::uint32_t worker = 1; worker <= workers; ++worker) {
    WorkerSockets& leases = sockets.emplace_back();
    for (const Endpoint& address : addresses) {
      Result<SocketLease> lease = lease_pair(address, worker);
      if (!lease) return lease.error();
      leases.push_back(std::move(*lease));
    }
  }
  return sockets;
}

Result<SocketLease> ListenSockets::lease_pair(const Endpoint& address, std::uint32_t worker) {
  const auto known = std::ranges::find_if(
      pairs_, [&](const SocketPair& pair) { return pair.address == address && pair.worker == worker && !pair.left; });
  if (known != pairs_.end()) return SocketLease(*this, *known);
  SocketPair pair;
  pair.address = address;
  pair.worker = worker;
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
      SocketPair& pair = lease.pair();
      if (pair.joined) continue;
      for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        const int fd = protocol == Protocol::udp ? pair.udp.get() : pair.tcp.get();
        if (const int error = join_port(fd, pair.address, protocol)) {
          return cannot_listen(pair.address, protocol, error);
        }
      }
      pair.joined = true;
    }
  }
  return ok();
}

SocketLease ListenSockets::adopt(SocketPair pair) {
  pair.joined = true;
  pair.leases = 0;
  return SocketLease(*this, pairs_.emplace_back(std::move(pair)));
}

}  // namespace dotrelay
