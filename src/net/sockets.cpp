// See sockets.hpp.
#include "net/sockets.hpp"

#include "net/host_addresses.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>

namespace dotrelay {
namespace {

/// What the kernel keeps for a client that does not read, beside what the relay does; it doubles the figure
/// (socket(7)). By itself it would let each such client have up to 4 MB (tcp_wmem).
constexpr int kClientSendBufferBytes = 128 * 1024;

/// The default holds about 256 small datagrams: less than arrives while a worker is being replaced.
constexpr int kUdpBufferBytes = 1 << 21;
constexpr int kListenBacklog = 4096;  // the kernel caps it at net.core.somaxconn

/// The net below everything that the relay itself notices earlier: a connection whose peer has gone ends.
constexpr int kUserTimeoutMilliseconds = 10'000;
constexpr int kKeepaliveIdleSeconds = 10;
constexpr int kKeepaliveIntervalSeconds = 3;
constexpr int kKeepaliveProbes = 3;

/// A scope that no interface has: an index is a positive int. 0 would mean that none was asked for.
constexpr std::uint32_t kNoInterface = UINT32_MAX;

bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

UniqueFd open_socket(const Endpoint& endpoint, Protocol protocol) {
  const int type = protocol == Protocol::udp ? SOCK_DGRAM : SOCK_STREAM;
  UniqueFd fd(socket(endpoint.address.is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd && endpoint.address.is_v6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (fd && !endpoint.address.is_unspecified()) {
    endpoint.address.is_v6 ? set_option(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1)
                           : set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
  }
  // On TCP it only means not to wait for TIME_WAIT; on UDP it would let another user steal the port.
  if (fd && protocol == Protocol::tcp) set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  return fd;
}

int bind_to(int fd, const Endpoint& endpoint) {
  const SocketAddress address = to_socket_address(endpoint);
  return bind(fd, address.raw(), address.size) == 0 ? 0 : errno;
}

/// Binds a socket that does not share its port, beside none but those that have left it. Of TCP they are no hindrance,
/// because they listen no more. Of UDP they have SO_REUSEADDR, which other programs may also have; but those do not
/// share the port with this user as well.
int bind_alone(int fd, const Endpoint& endpoint, Protocol protocol) {
  const int error = bind_to(fd, endpoint);
  if (error != EADDRINUSE || protocol == Protocol::tcp || !is_shared_by_this_user(endpoint, protocol)) return error;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const int error_beside_left = bind_to(fd, endpoint);
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
  return error_beside_left;
}

int listen_on(int fd, Protocol protocol) {
  return protocol == Protocol::udp || listen(fd, kListenBacklog) == 0 ? 0 : errno;
}

}  // namespace

SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (endpoint.address.is_v6) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(endpoint.port);
    std::memcpy(&in6.sin6_addr, endpoint.address.octets.data(), 16);
    if (!endpoint.scope.empty()) {
      const std::uint32_t index = interface_index(endpoint.scope);
      in6.sin6_scope_id = index != 0 ? index : kNoInterface;
    }
    address.size = sizeof in6;
  } else {
    auto& in4 = reinterpret_cast<sockaddr_in&>(address.storage);
    in4.sin_family = AF_INET;
    in4.sin_port = htons(endpoint.port);
    std::memcpy(&in4.sin_addr, endpoint.address.octets.data(), 4);
    address.size = sizeof in4;
  }
  return address;
}

Endpoint to_endpoint(const sockaddr& address) {
  Endpoint endpoint;
  if (address.sa_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address);
    endpoint.address.is_v6 = true;
    endpoint.port = ntohs(in6.sin6_port);
    std::memcpy(endpoint.address.octets.data(), &in6.sin6_addr, 16);
  } else {
    const auto& in4 = reinterpret_cast<const sockaddr_in&>(address);
    endpoint.port = ntohs(in4.sin_port);
    std::memcpy(endpoint.address.octets.data(), &in4.sin_addr, 4);
  }
  return endpoint;
}

std::string errno_text(int error) {
  switch (error) {
    case EADDRINUSE:
      return "address in use";
    case ENODEV:
      return "this machine does not have that interface";
    case EADDRNOTAVAIL:
      return "this machine does not have that address";
    case EAFNOSUPPORT:
      return "this machine has no IPv6";
    case ETIMEDOUT:
      return "connection timed out";
    default:
      break;
  }
  std::string text = std::strerror(error);
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

bool is_shared_by_this_user(const Endpoint& endpoint, Protocol protocol) {
  const UniqueFd fd = open_socket(endpoint, protocol);
  return fd && set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) && bind_to(fd.get(), endpoint) == 0;
}

int probe_bind(const Endpoint& endpoint, Protocol protocol) {
  const UniqueFd fd = open_socket(endpoint, protocol);
  return fd ? bind_alone(fd.get(), endpoint, protocol) : errno;
}

UniqueFd make_listener(const Endpoint& endpoint, Protocol protocol, int& error) {
  UniqueFd fd = open_socket(endpoint, protocol);
  bool good = fd && set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (good && protocol == Protocol::udp) {
    // Without them the kernel's smaller default stays in force, which is no reason not to serve.
    set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, kUdpBufferBytes);
    set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, kUdpBufferBytes);
    if (endpoint.address.is_unspecified()) {
      good = endpoint.address.is_v6 ? set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                    : set_option(fd.get(), IPPROTO_IP, IP_PKTINFO, 1);
    }
  } else if (good) {
    set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, kClientSendBufferBytes);  // accepted sockets inherit it
  }
  if (good) return fd;
  error = errno;
  return {};
}

int join_port(int fd, const Endpoint& endpoint, Protocol protocol) {
  if (const int error = bind_to(fd, endpoint)) return error;
  return listen_on(fd, protocol);
}

// The kernel looks at SO_REUSEPORT of the sockets that are there when another one is bound; so the first one of a group
// may be bound without it, which fails when another socket is there, and share its port from then on. Two TCP sockets
// may still both be bound then (SO_REUSEADDR), but only one can listen.
int claim_port(int fd, const Endpoint& endpoint, Protocol protocol) {
  set_option(fd, SOL_SOCKET, SO_REUSEPORT, 0);
  int error = bind_alone(fd, endpoint, protocol);
  if (error == 0) error = listen_on(fd, protocol);
  if (error == 0 && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) error = errno;
  return error;
}

std::uint32_t bound_interface(int fd) {
  SocketAddress own;
  if (getsockname(fd, own.raw(), &own.size) != 0 || own.raw()->sa_family != AF_INET6) return 0;
  return reinterpret_cast<const sockaddr_in6&>(own.storage).sin6_scope_id;
}

UniqueFd open_stream(const Endpoint& peer) {
  return UniqueFd(socket(peer.address.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int set_egress(int fd, const Egress& egress) {
  // First: it says on which interface a link-local source is meant.
  if (const std::string interface = egress.interface.name();
      !interface.empty() && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                                       static_cast<socklen_t>(interface.size() + 1)) != 0) {
    return errno;
  }
  if (egress.mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &egress.mark, sizeof egress.mark) != 0) return errno;
  if (!egress.source) return 0;
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);  // the port is chosen for the peer: there are more of them
  const SocketAddress source = to_socket_address({.address = *egress.source, .port = 0});
  return bind(fd, source.raw(), source.size) == 0 ? 0 : errno;
}

UniqueFd begin_connect(const Endpoint& endpoint, const Egress& egress, int& error, std::uint16_t segment_limit) {
  const SocketAddress address = to_socket_address(endpoint);
  UniqueFd fd = open_stream(endpoint);
  error = fd ? set_egress(fd.get(), egress) : errno;
  if (error != 0) return {};
  // Before connect(): the SYN tells the peer.
  if (segment_limit != 0) set_option(fd.get(), IPPROTO_TCP, TCP_MAXSEG, segment_limit);
  if (connect(fd.get(), address.raw(), address.size) != 0 && errno != EINPROGRESS) {
    error = errno;
    return {};
  }
  // After connect(): where there is no route, and a dial is tried again and again, it has failed by now.
  disable_nagle(fd.get());
  set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMilliseconds);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  return fd;
}

void disable_nagle(int fd) { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void leave_port(int fd, Protocol protocol) {
  if (protocol == Protocol::tcp) {
    shutdown(fd, SHUT_RDWR);
    return;
  }
  // A connected UDP socket only gets what its peer sends; here the peer is the socket itself.
  SocketAddress own;
  if (getsockname(fd, own.raw(), &own.size) != 0) return;
  Endpoint self = to_endpoint(own);
  if (self.address.is_unspecified()) {
    self.address = *parse_ip_address(self.address.is_v6 ? "::1" : "127.0.0.1");
  }
  const SocketAddress peer = to_socket_address(self);
  // Where that fails the machine does not have the address (yet), and nothing arrives anyway.
  connect(fd, peer.raw(), peer.size);
  // It still has the port, and must not keep it from a relay that starts while answers are sent from here.
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

bool has_left_port(int fd, Protocol protocol) {
  if (protocol == Protocol::tcp) {
    int listens = 0;
    socklen_t size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0;
  }
  SocketAddress peer;
  return getpeername(fd, peer.raw(), &peer.size) == 0;
}

void reset_on_close(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

std::size_t kernel_memory(int fd) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> facts{};
  socklen_t size = sizeof facts;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, facts.data(), &size) != 0) return 0;
  return std::size_t{facts[SK_MEMINFO_WMEM_QUEUED]} + facts[SK_MEMINFO_RMEM_ALLOC];
}

int take_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

std::optional<IpAddress> source_towards(const Endpoint& peer_endpoint, const Egress& egress) {
  const SocketAddress peer = to_socket_address(peer_endpoint);
  // Connecting a UDP socket asks the routing table and sends nothing.
  const UniqueFd probe(socket(peer.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress source;
  if (!probe || set_egress(probe.get(), egress) != 0 || connect(probe.get(), peer.raw(), peer.size) != 0 ||
      getsockname(probe.get(), source.raw(), &source.size) != 0) {
    return std::nullopt;
  }
  return to_endpoint(source).address;
}

bool route_has_changed(int fd, const Endpoint& peer, const Egress& egress) {
  // Of a connection that is being made the kernel tells the source that it has chosen, but not yet the peer.
  SocketAddress own;
  if (getsockname(fd, own.raw(), &own.size) != 0) return true;
  return to_endpoint(own).address != source_towards(peer, egress);
}

}  // namespace dotrelay
