// See host_addresses.hpp.
#include "net/host_addresses.hpp"

#include "net/sockets.hpp"

#include <cerrno>
#include <charconv>
#include <net/if.h>

namespace dotrelay {
namespace {

UniqueFd datagram_socket(const IpAddress& address) {
  return UniqueFd(socket(address.is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

std::uint32_t interface_index(const Scope& scope) {
  const std::string text = scope.name();
  if (const std::uint32_t index = if_nametoindex(text.c_str())) return index;
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  char name[IF_NAMESIZE];
  const bool known =
      failure == std::errc{} && end == text.data() + text.size() && if_indextoname(number, name) != nullptr;
  return known ? number : 0;
}

Presence presence_of(const Endpoint& endpoint) {
  const UniqueFd fd = datagram_socket(endpoint.address);
  if (!fd) return errno == EAFNOSUPPORT ? Presence::no_family : Presence::here;  // the real one will tell
  if (endpoint.address.is_unspecified()) return Presence::here;
  if (!endpoint.scope.empty() && interface_index(endpoint.scope) == 0) return Presence::no_interface;
  Endpoint any_port = endpoint;
  any_port.port = 0;
  const SocketAddress address = to_socket_address(any_port);
  if (bind(fd.get(), address.raw(), address.size) == 0) return Presence::here;
  if (errno == ENODEV) return Presence::no_interface;  // gone meanwhile
  return errno == EADDRNOTAVAIL ? Presence::not_yet : Presence::here;
}

bool is_own_address(const Endpoint& endpoint) {
  if (endpoint.address.is_loopback()) return true;
  // Connecting a UDP socket asks the routing table: to an own address the source is that address. (bind() would tell
  // nothing where net.ipv4.ip_nonlocal_bind is set.)
  const UniqueFd fd = datagram_socket(endpoint.address);
  const SocketAddress peer = to_socket_address(endpoint);
  SocketAddress source;
  return fd && connect(fd.get(), peer.raw(), peer.size) == 0 &&
         getsockname(fd.get(), source.raw(), &source.size) == 0 && to_endpoint(source).address == endpoint.address;
}

bool may_bind_port(std::uint16_t port) {
  // The kernel looks at the right before it looks at the socket, which is bound already: EINVAL is a yes.
  const IpAddress any{};
  const UniqueFd fd = datagram_socket(any);
  const SocketAddress first = to_socket_address({.address = any, .port = 0});
  if (!fd || bind(fd.get(), first.raw(), first.size) != 0) return true;  // the real one will tell
  const SocketAddress second = to_socket_address({.address = any, .port = port});
  return bind(fd.get(), second.raw(), second.size) == 0 || errno != EACCES;
}

}  // namespace dotrelay
