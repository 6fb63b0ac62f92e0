// This machine's addresses, in a network namespace with nothing but a loopback interface.
#include "net/interfaces.hpp"

#include "net/own_network.hpp"

#include <algorithm>
#include <cerrno>
#include <doctest/doctest.h>
#include <sys/resource.h>

namespace dotrelay {
namespace {

TEST_CASE("an address with its network, on no link because the interface is loopback") {
  test::in_own_network([] {
    int error = 0;
    CHECK(interface_addresses(error)->empty());
    test::add_address();
    test::set_loopback_address(SIOCSIFNETMASK, 0xfffffff0);
    test::set_loopback(true);
    const auto addresses = interface_addresses(error);
    REQUIRE(addresses);
    const auto found = std::ranges::find(*addresses, *parse_ip_address("192.0.2.1"), &InterfaceAddress::address);
    REQUIRE(found != addresses->end());
    CHECK(found->prefix_length == 28);
    CHECK_FALSE(found->on_link);
  });
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
