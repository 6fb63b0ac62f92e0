// A network namespace for one test, and what a test changes of its loopback.
#pragma once

#include "base/unique_fd.hpp"

#include <doctest/doctest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <thread>

namespace dotrelay::test {

/// Calls `body` on a thread in a network namespace of its own.
template <class Body>
void in_own_network(const Body& body) {
  bool possible = false;
  std::thread([&] {
    possible = unshare(CLONE_NEWNET) == 0;
    if (possible) body();
  }).join();
  if (!possible) MESSAGE("SKIPPED: no network namespaces (needs root)");
}

/// Sets something of loopback: `command` is a SIOCSIF..., whose argument `fill` writes.
template <class Fill>
void change_loopback(unsigned long command, Fill fill) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  fill(request);
  REQUIRE(ioctl(fd.get(), command, &request) == 0);
}

inline void set_loopback(bool up) {
  change_loopback(SIOCSIFFLAGS, [up](ifreq& request) { request.ifr_flags = static_cast<short>(up ? IFF_UP : 0); });
}

/// `command`: SIOCSIFADDR or SIOCSIFNETMASK. `number` is in host order.
inline void set_loopback_address(unsigned long command, std::uint32_t number) {
  change_loopback(command, [number](ifreq& request) {
    auto& address = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(number);
  });
}

/// 192.0.2.1.
inline void add_address() { set_loopback_address(SIOCSIFADDR, 0xc0000201); }

}  // namespace dotrelay::test
