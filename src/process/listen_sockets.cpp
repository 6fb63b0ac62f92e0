// See listen_sockets.hpp.
#include "process/listen_sockets.hpp"

#include "net/sockets.hpp"

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

Result<SocketPair> open_pair(const Endpoint& endpoint) {
  SocketPair pair;
  int error = 0;
  pair.udp = open_listener(endpoint, Protocol::udp, error);
  if (!pair.udp) return cannot_listen(endpoint, Protocol::udp, error);
  pair.tcp = open_listener(endpoint, Protocol::tcp, error);
  if (!pair.tcp) return cannot_listen(endpoint, Protocol::tcp, error);
  return pair;
}

}  // namespace

Result<ListenSockets> open_listen_sockets(const ListenConfig& config, std::uint32_t workers, Log& log) {
  ListenSockets sockets;
  for (const Endpoint& endpoint : config.addresses) {
    Protocol protocol{};
    const int error = probe(endpoint, protocol);
    if (host_lacks(error) && config.addresses_are_default) {
      log.warning("not listening on the default address " + endpoint.to_text() + ": " + errno_text(error));
      continue;
    }
    const bool shared = error == EADDRINUSE && config.share_port;
    if (error != 0 && !shared) return cannot_listen(endpoint, protocol, error);
    sockets.addresses.push_back(endpoint);
  }
  if (sockets.addresses.empty()) return Error{"cannot listen: this machine has none of the default addresses"};

  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    WorkerSockets& pairs = sockets.by_worker.emplace_back();
    for (const Endpoint& endpoint : sockets.addresses) {
      Result<SocketPair> pair = open_pair(endpoint);
      if (!pair) return pair.error();
      pairs.push_back(std::move(*pair));
    }
  }
  return sockets;
}

}  // namespace dotrelay
