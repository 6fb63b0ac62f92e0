// What a machine has and has not, as far as every machine is alike: loopback, and addresses for documentation.
#include "net/host_addresses.hpp"

#include "net/sockets.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace dotrelay {
namespace {

Endpoint endpoint(std::string_view text) { return *parse_endpoint(text, 53); }

TEST_CASE("an address is here, or not yet, or waits for its interface") {
  CHECK(presence_of(endpoint("127.0.0.1")) == Presence::here);
  CHECK(presence_of(endpoint("0.0.0.0")) == Presence::here);
  CHECK(presence_of(endpoint("203.0.113.77")) == Presence::not_yet);
  CHECK(presence_of(endpoint("2001:db8::77")) == Presence::not_yet);
  CHECK(presence_of(endpoint("fe80::77%lo")) == Presence::not_yet);
  CHECK(presence_of(endpoint("fe80::77%none-such")) == Presence::no_interface);
}

TEST_CASE("an interface by name or by number") {
  const std::uint32_t loopback = interface_index(*Scope::parse("lo"));
  CHECK(loopback > 0);
  CHECK(interface_index(*Scope::parse(std::to_string(loopback))) == loopback);
  CHECK(interface_index(*Scope::parse("none-such")) == 0);
  CHECK(interface_index(*Scope::parse("999999999")) == 0);
  CHECK(interface_index(*Scope::parse("1x")) == 0);
}

TEST_CASE("what is sent to an own address stays here") {
  CHECK(is_own_address(endpoint("127.0.0.1")));
  CHECK(is_own_address(endpoint("127.1.2.3")));
  CHECK(is_own_address(endpoint("::1")));
  CHECK_FALSE(is_own_address(endpoint("203.0.113.77")));
  CHECK_FALSE(is_own_address(endpoint("fe80::77%none-such")));
}

TEST_CASE("a socket's address has the index that its interface has now, or one that no interface can have") {
  const auto scope_of = [](std::string_view text) {
    const SocketAddress address = to_socket_address(endpoint(text));
    return reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_scope_id;
  };
  CHECK(scope_of("fe80::1%lo") == interface_index(*Scope::parse("lo")));
  CHECK(scope_of("fe80::1%none-such") == UINT32_MAX);
  CHECK(scope_of("fe80::1") == 0);
}

TEST_CASE("asking for the right to a port takes no port: it is asked of one that is taken") {
  const Endpoint any = *parse_endpoint("127.0.0.1:1", 0);
  int error = 0;
  const UniqueFd taken = make_listener({any.address, 0}, Protocol::udp, error);
  REQUIRE(join_port(taken.get(), {any.address, 0}, Protocol::udp) == 0);
  SocketAddress bound;
  REQUIRE(getsockname(taken.get(), bound.raw(), &bound.size) == 0);
  CHECK(may_bind_port(to_endpoint(bound).port));
}

}  // namespace
}  // namespace dotrelay
