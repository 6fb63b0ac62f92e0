// Which other sockets there are at a port: the kernel's list of them (sock_diag(7)). Blocks for nothing but the
// kernel's own walk through its tables.
#pragma once

#include "base/address.hpp"
#include "net/sockets.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace dotrelay {

struct BoundSocket {
  Endpoint address;  ///< without scope
  std::uint64_t inode = 0;
  std::uint32_t user = 0;  ///< the UID of its maker
};

/// Most sockets that are listed: a bound for a port that another program has filled.
inline constexpr std::size_t kMaxListedSockets = 4096;

/// The unconnected UDP sockets, or the listening TCP sockets, of this network namespace with this address family and
/// port. Nothing where the kernel does not tell (no netlink, no module, a sandbox).
std::optional<std::vector<BoundSocket>> sockets_at_port(Protocol protocol, bool is_v6, std::uint16_t port);

/// The inode of a socket of our own, as it stands in that list; 0: none.
std::uint64_t inode_of(int fd);

}  // namespace dotrelay
