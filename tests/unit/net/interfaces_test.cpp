// This machine's addresses, in a network namespace with nothing but a loopback interface.
#include "net/interfaces.hpp"

#include "base/unique_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <doctest/doctest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <thread>

namespace dotrelay {
namespace {

/// Gives loopback 192.0.2.1/28, and brings it up.
void set_up_loopback() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  auto& address = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0xc0000201);
  REQUIRE(ioctl(fd.get(), SIOCSIFADDR, &request) == 0);
  address.sin_addr.s_addr = htonl(0xfffffff0);
  REQUIRE(ioctl(fd.get(), SIOCSIFNETMASK, &request) == 0);
  request.ifr_flags = IFF_UP;
  REQUIRE(ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0);
}

TEST_CASE("an address with its network, on no link because the interface is loopback") {
  bool possible = false;
  std::thread([&] {
    possible = unshare(CLONE_NEWNET) == 0;
    if (!possible) return;
    int error = 0;
    CHECK(interface_addresses(error)->empty());
    set_up_loopback();
    const auto addresses = interface_addresses(error);
    REQUIRE(addresses);
    const auto found = std::ranges::find(*addresses, *parse_ip_address("192.0.2.1"), &InterfaceAddress::address);
    REQUIRE(found != addresses->end());
    CHECK(found->prefix_length == 28);
    CHECK_FALSE(found->on_link);
  }).join();
  if (!possible) MESSAGE("SKIPPED: no network namespaces (needs root)");
}

TEST_CASE("none without a descriptor for the question, and the reason") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{0, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  int error = 0;
  const auto addresses = interface_addresses(error);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK_FALSE(addresses);
  CHECK(error == EMFILE);
}

}  // namespace
}  // namespace dotrelay
