// What this machine has at the moment: addresses, interfaces, the right to a port. Asked of the kernel each time, with
// sockets that send nothing and take no port from other programs.
#pragma once

#include "base/address.hpp"

namespace dotrelay {

/// Its index; 0: there is no such interface now.
[[gnu::cold]] std::uint32_t interface_index(const Scope& scope);

enum class Presence : std::uint8_t {
  here,          ///< a socket can be bound to it and is reached; wildcards too
  not_yet,       ///< a socket can be bound to it, and is reached once the machine has the address
  no_interface,  ///< its interface is not there, so no socket can be bound to it now
  no_family,     ///< the kernel has no IPv6
};

Presence presence_of(const Endpoint& endpoint);

/// Whether what is sent to the address stays on this machine.
bool is_own_address(const Endpoint& endpoint);

/// Whether this process may bind the port: those below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE.
bool may_bind_port(std::uint16_t port);

}  // namespace dotrelay
