// Leases of listening sockets: kept where an address stays, closed with the last lease, and bound only when joined.
#include "process/listen_sockets.hpp"

#include "net/sockets.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <memory>
#include <sys/socket.h>

namespace dotrelay {
namespace {

/// An address with a port that is free now.
Endpoint free_address(const char* address = "127.0.0.1") {
  const Endpoint any{*parse_ip_address(address), 0};
  int error = 0;
  const UniqueFd fd = make_listener(any, Protocol::tcp, error);
  REQUIRE(join_port(fd.get(), any, Protocol::tcp) == 0);
  SocketAddress bound;
  REQUIRE(getsockname(fd.get(), bound.raw(), &bound.size) == 0);
  return to_endpoint(bound);
}

ListenConfig config_of(std::vector<Endpoint> addresses) {
  ListenConfig config;
  config.addresses = std::move(addresses);
  config.addresses_are_default = false;
  return config;
}

struct Fixture {
  Log log{LogLevel::error, "test"};
  ListenSockets sockets;
  Endpoint first = free_address();
  Endpoint second = free_address();
};

TEST_CASE_FIXTURE(Fixture, "nobody is served before the sockets are joined") {
  auto leases = sockets.lease(config_of({first}), 2, log);
  REQUIRE(leases);
  CHECK(leases->size() == 2);
  CHECK(probe_bind(first, Protocol::udp) == 0);
  REQUIRE(sockets.join(*leases));
  CHECK(probe_bind(first, Protocol::udp) == EADDRINUSE);
  CHECK(probe_bind(first, Protocol::tcp) == EADDRINUSE);
}

TEST_CASE_FIXTURE(Fixture, "an address that stays keeps its sockets, one that goes loses them with its last lease") {
  auto before = std::make_unique<Result<std::vector<WorkerSockets>>>(sockets.lease(config_of({first, second}), 1, log));
  REQUIRE(*before);
  REQUIRE(sockets.join(**before));
  {
    auto after = sockets.lease(config_of({first}), 2, log);
    REQUIRE(after);
    REQUIRE(sockets.join(*after));
    CHECK(&(*after)[0][0].pair() == &(**before)[0][0].pair());
    CHECK(&(*after)[1][0].pair() != &(**before)[0][0].pair());
    CHECK(probe_bind(second, Protocol::udp) == EADDRINUSE);
    before.reset();
    CHECK(probe_bind(second, Protocol::udp) == 0);
    CHECK(probe_bind(first, Protocol::udp) == EADDRINUSE);
  }
  CHECK(probe_bind(first, Protocol::udp) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a pair that is being left is not leased again") {
  auto leaving = sockets.lease(config_of({first}), 1, log);
  REQUIRE(leaving);
  REQUIRE(sockets.join(*leaving));
  SocketPair& left = (*leaving)[0][0].pair();
  left.left = true;
  auto again = sockets.lease(config_of({first}), 1, log);
  REQUIRE(again);
  CHECK(&(*again)[0][0].pair() != &left);
  CHECK(sockets.join(*again));
}

TEST_CASE_FIXTURE(Fixture,
                  "an address that only workers of an earlier program still hold is our own, as long as they do") {
  int error = 0;
  const UniqueFd workers = make_listener(first, Protocol::udp, error);
  REQUIRE(join_port(workers.get(), first, Protocol::udp) == 0);
  CHECK_FALSE(sockets.lease(config_of({first}), 1, log));
  {
    SocketPair pair;
    pair.address = first;
    pair.left = true;
    const SocketLease held = sockets.adopt(std::move(pair));
    auto again = sockets.lease(config_of({first}), 1, log);
    REQUIRE(again);
    CHECK(sockets.join(*again));
  }
  CHECK_FALSE(sockets.lease(config_of({first}), 1, log));
}

TEST_CASE_FIXTURE(Fixture, "the address of another program is refused as a whole; of our own, the wildcard is not") {
  ListenSockets others;
  auto theirs = others.lease(config_of({second}), 1, log);
  REQUIRE(others.join(*theirs));
  const auto refused = sockets.lease(config_of({first, second}), 1, log);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("cannot listen on " + second.to_text()) == 0);

  const Endpoint wildcard{*parse_ip_address("0.0.0.0"), second.port};
  CHECK_FALSE(sockets.lease(config_of({wildcard}), 1, log));
  auto ours = others.lease(config_of({wildcard}), 1, log);
  REQUIRE(ours);
  CHECK(others.join(*ours));
}

}  // namespace
}  // namespace dotrelay
