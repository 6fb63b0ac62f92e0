// This machine's addresses, and the networks that they are in.
#pragma once

#include "base/address.hpp"

#include <optional>
#include <vector>

namespace dotrelay {

struct InterfaceAddress {
  IpAddress address;
  std::uint8_t prefix_length = 0;  ///< of the network on the interface's link
  bool on_link = false;            ///< the interface is up and no loopback
};

/// All of them; none, and the errno in `error`, when the kernel does not tell (a sandbox without netlink sockets).
std::optional<std::vector<InterfaceAddress>> interface_addresses(int& error);

}  // namespace dotrelay
