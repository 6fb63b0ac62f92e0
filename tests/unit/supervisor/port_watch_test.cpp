// Sockets of others beside our own, as the kernel lists them. The others here are of the same process: what counts is
// that the supervisor does not hold them.
#include "supervisor/port_watch.hpp"

#include "net/socket_diag.hpp"
#include "net/sockets.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

namespace dotrelay {
namespace {

UniqueFd other_socket(const Endpoint& address, Protocol protocol) {
  int error = 0;
  UniqueFd fd = make_listener(address, protocol, error);
  REQUIRE(join_port(fd.get(), address, protocol) == 0);
  return fd;
}

struct Fixture {
  ListenSockets sockets;
  Endpoint address;
  ListenConfig config;
  bool asked = false;

  explicit Fixture(const char* host = "127.0.0.1") : address{*parse_ip_address(host), 0} {
    const UniqueFd fd = other_socket(address, Protocol::tcp);
    SocketAddress bound;
    REQUIRE(getsockname(fd.get(), bound.raw(), &bound.size) == 0);
    address.port = to_endpoint(bound).port;
    config.addresses = {address};
    config.addresses_are_default = false;
  }
};

TEST_CASE_FIXTURE(Fixture, "the relay's own sockets, of all workers, are no strangers") {
  const auto leases = sockets.lease(config, 3);
  REQUIRE(sockets.join(*leases));
  const auto listed = sockets_at_port(Protocol::udp, false, address.port);
  REQUIRE(listed);
  CHECK(listed->size() == 3);
  CHECK(strangers_at(sockets, asked).empty());
  CHECK(asked);
}

TEST_CASE_FIXTURE(Fixture, "a socket that joins the group is told, with its user; one that leaves again is not") {
  const auto leases = sockets.lease(config, 2);
  REQUIRE(sockets.join(*leases));
  {
    const UniqueFd udp = other_socket(address, Protocol::udp);
    CHECK(strangers_at(sockets, asked) ==
          std::vector<std::string>{address.to_text() +
                                   " (UDP): other processes have 1 socket at this address and get a share of "
                                   "the queries: " +
                                   address.to_text() + " of user " + std::to_string(geteuid())});
    const UniqueFd tcp = other_socket(address, Protocol::tcp);
    CHECK(strangers_at(sockets, asked).size() == 2);
  }
  CHECK(strangers_at(sockets, asked).empty());
}

TEST_CASE_FIXTURE(Fixture, "a worker's socket that has left the port is none that takes queries") {
  const auto leases = sockets.lease(config, 1);
  REQUIRE(sockets.join(*leases));
  const UniqueFd other = other_socket(address, Protocol::udp);
  leave_port(other.get(), Protocol::udp);
  CHECK(strangers_at(sockets, asked).empty());
}

TEST_CASE("a more specific address takes all that is sent to it from a wildcard; an address does not from another") {
  Fixture fixture("0.0.0.0");
  const auto leases = fixture.sockets.lease(fixture.config, 1);
  REQUIRE(fixture.sockets.join(*leases));
  const Endpoint specific{*parse_ip_address("127.0.0.9"), fixture.address.port};
  const UniqueFd other = other_socket(specific, Protocol::udp);
  const auto lines = strangers_at(fixture.sockets, fixture.asked);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with(fixture.address.to_text() + " (UDP)"));
  CHECK(lines[0].find(specific.to_text()) != std::string::npos);

  ListenSockets narrow;
  fixture.config.addresses = {{*parse_ip_address("127.0.0.8"), fixture.address.port}};
  fixture.config.share_port = true;
  const auto narrow_leases = narrow.lease(fixture.config, 1);
  REQUIRE(narrow.join(*narrow_leases));
  CHECK(strangers_at(narrow, fixture.asked).empty());
}

TEST_CASE_FIXTURE(Fixture, "as long as only workers of an earlier program know some sockets no program is accused") {
  const UniqueFd workers = other_socket(address, Protocol::udp);
  SocketPair left;
  left.address = address;
  left.stage = SocketPair::Stage::left;
  const SocketLease held = sockets.adopt(std::move(left));
  const auto leases = sockets.lease(config, 1);
  REQUIRE(sockets.join(*leases));
  CHECK(strangers_at(sockets, asked).empty());
  CHECK(asked);
}

}  // namespace
}  // namespace dotrelay
