// See interfaces.hpp.
#include "net/interfaces.hpp"

#include "net/sockets.hpp"

#include <bit>
#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netinet/in.h>

namespace dotrelay {
namespace {

struct FreeAddresses {
  void operator()(ifaddrs* list) const { freeifaddrs(list); }
};

/// Of a mask whose bits that are set stand in front.
std::uint8_t prefix_length_of(const IpAddress& mask) {
  int length = 0;
  for (const std::uint8_t octet : mask.bytes()) length += std::popcount(octet);
  return static_cast<std::uint8_t>(length);
}

}  // namespace

std::optional<std::vector<InterfaceAddress>> interface_addresses(int& error) {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) {
    error = errno;
    return std::nullopt;
  }
  const std::unique_ptr<ifaddrs, FreeAddresses> list(first);
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr) continue;
    if (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6) continue;
    // Some C libraries leave the mask's family open.
    sockaddr_storage mask{};
    std::memcpy(&mask, entry->ifa_netmask,
                entry->ifa_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    mask.ss_family = entry->ifa_addr->sa_family;
    found.push_back({.address = to_endpoint(*entry->ifa_addr).address,
                     .prefix_length = prefix_length_of(to_endpoint(reinterpret_cast<const sockaddr&>(mask)).address),
                     .on_link = (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_LOOPBACK) == 0});
  }
  return found;
}

}  // namespace dotrelay
