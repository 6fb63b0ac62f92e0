// Leases of listening sockets: kept where an address stays, closed with the last lease, and bound only when joined.
#include "supervisor/listen_sockets.hpp"

#include "net/sockets.hpp"
#include "supervisor/free_address.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

namespace dotrelay {
namespace {

using test::free_address;
using test::listen_on;

struct Fixture {
  ListenSockets sockets;
  Endpoint first = free_address();
  Endpoint second = free_address();
};

TEST_CASE_FIXTURE(Fixture, "no client is served before the sockets are joined") {
  auto leases = sockets.lease(listen_on({first}), 2);
  REQUIRE(leases);
  CHECK(leases->size() == 2);
  CHECK(probe_bind(first, Protocol::udp) == 0);
  REQUIRE(sockets.join(*leases));
  CHECK(probe_bind(first, Protocol::udp) == EADDRINUSE);
  CHECK(probe_bind(first, Protocol::tcp) == EADDRINUSE);
}

TEST_CASE_FIXTURE(Fixture, "an address that stays keeps its sockets, one that goes loses them with its last lease") {
  auto before = std::make_unique<Result<std::vector<WorkerSockets>>>(sockets.lease(listen_on({first, second}), 1));
  REQUIRE(*before);
  REQUIRE(sockets.join(**before));
  {
    auto after = sockets.lease(listen_on({first}), 2);
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
  auto leaving = sockets.lease(listen_on({first}), 1);
  REQUIRE(leaving);
  REQUIRE(sockets.join(*leaving));
  SocketPair& left = (*leaving)[0][0].pair();
  left.stage = SocketPair::Stage::left;
  auto again = sockets.lease(listen_on({first}), 1);
  REQUIRE(again);
  CHECK(&(*again)[0][0].pair() != &left);
  CHECK(sockets.join(*again));
}

TEST_CASE_FIXTURE(Fixture,
                  "an address that only workers of an earlier program still hold is our own, as long as they do") {
  int error = 0;
  const UniqueFd workers = make_listener(first, Protocol::udp, error);
  REQUIRE(join_port(workers.get(), first, Protocol::udp) == 0);
  CHECK_FALSE(sockets.lease(listen_on({first}), 1));
  {
    SocketPair pair;
    pair.address = first;
    pair.stage = SocketPair::Stage::left;
    const SocketLease held = sockets.adopt(std::move(pair));
    auto again = sockets.lease(listen_on({first}), 1);
    REQUIRE(again);
    CHECK(sockets.join(*again));
  }
  CHECK_FALSE(sockets.lease(listen_on({first}), 1));
}

TEST_CASE_FIXTURE(Fixture,
                  "an address that this machine does not have yet is bound, and no other program can have it") {
  const Endpoint later{*parse_ip_address("203.0.113.77"), first.port};
  auto leases = sockets.lease(listen_on({later}), 1);
  REQUIRE(leases);
  REQUIRE(sockets.join(*leases));
  CHECK(probe_bind(later, Protocol::udp) == EADDRINUSE);
  CHECK(probe_bind(later, Protocol::tcp) == EADDRINUSE);
}

TEST_CASE_FIXTURE(Fixture, "an address whose interface is not there is left out; alone it is an error") {
  const Endpoint later = *parse_endpoint("[fe80::1%none-such]:5353", 0);
  auto leases = sockets.lease(listen_on({later, first}), 1);
  REQUIRE(leases);
  CHECK((*leases)[0].size() == 1);
  CHECK((*leases)[0][0].pair().address == first);
  CHECK_FALSE(sockets.lease(listen_on({later}), 1));
}

TEST_CASE_FIXTURE(Fixture, "the address of another program is refused as a whole; of our own, the wildcard is not") {
  ListenSockets others;
  auto theirs = others.lease(listen_on({second}), 1);
  REQUIRE(others.join(*theirs));
  const auto refused = sockets.lease(listen_on({first, second}), 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("cannot listen on " + second.to_text()) == 0);

  const Endpoint wildcard{*parse_ip_address("0.0.0.0"), second.port};
  CHECK_FALSE(sockets.lease(listen_on({wildcard}), 1));
  auto ours = others.lease(listen_on({wildcard}), 1);
  REQUIRE(ours);
  CHECK(others.join(*ours));
}

TEST_CASE_FIXTURE(Fixture, "of two relays that start at the same time one serves") {
  ListenSockets others;
  auto ours = sockets.lease(listen_on({first}), 2);
  auto theirs = others.lease(listen_on({first}), 2);
  REQUIRE(ours);
  REQUIRE(theirs);  // neither has bound anything yet
  REQUIRE(sockets.join(*ours));
  const auto refused = others.join(*theirs);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("cannot listen on " + first.to_text() + " (TCP): address in use") == 0);
}

TEST_CASE_FIXTURE(Fixture, "with share_port both serve") {
  ListenConfig config = listen_on({first});
  config.share_port = true;
  ListenSockets others;
  auto ours = sockets.lease(config, 2);
  auto theirs = others.lease(config, 2);
  REQUIRE(sockets.join(*ours));
  CHECK(others.join(*theirs));
}

TEST_CASE_FIXTURE(Fixture, "the wildcard and an address of it may be in one configuration") {
  const Endpoint wildcard{*parse_ip_address("0.0.0.0"), first.port};
  auto leases = sockets.lease(listen_on({wildcard, first}), 2);
  REQUIRE(leases);
  CHECK(sockets.join(*leases));
}

TEST_CASE_FIXTURE(Fixture, "workers that have left the port are no hindrance for a relay that starts") {
  auto killed = sockets.lease(listen_on({first}), 2);
  REQUIRE(killed);
  REQUIRE(sockets.join(*killed));
  const auto leave = [](const WorkerSockets& leases) {
    leave_port(leases[0].pair().udp.get(), Protocol::udp);
    leave_port(leases[0].pair().tcp.get(), Protocol::tcp);
  };
  ListenSockets others;
  leave((*killed)[0]);
  CHECK_FALSE(others.lease(listen_on({first}), 2));  // one is still there
  leave((*killed)[1]);
  ListenSockets::await_departure(listen_on({first}));
  auto started = others.lease(listen_on({first}), 2);
  REQUIRE(started);
  CHECK(others.join(*started));
  CHECK(probe_bind(first, Protocol::udp) == EADDRINUSE);
}

TEST_CASE_FIXTURE(Fixture, "a program that shares addresses in its own way is not taken for one that has left") {
  const int yes = 1;
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT}) {
    CAPTURE(option);
    const UniqueFd other(socket(AF_INET, SOCK_DGRAM, 0));
    REQUIRE(setsockopt(other.get(), SOL_SOCKET, option, &yes, sizeof yes) == 0);
    const SocketAddress address = to_socket_address(first);
    REQUIRE(bind(other.get(), address.raw(), address.size) == 0);
    CHECK(probe_bind(first, Protocol::udp) == EADDRINUSE);
    CHECK_FALSE(sockets.lease(listen_on({first}), 1));
  }
}

TEST_CASE_FIXTURE(Fixture, "sockets that a worker took from the port before it died are bound anew, and no others") {
  auto leases = sockets.lease(listen_on({first}), 1);
  REQUIRE(leases);
  SocketPair& pair = (*leases)[0][0].pair();
  CHECK_FALSE(*ListenSockets::restore(pair));  // not bound yet
  REQUIRE(sockets.join(*leases));
  const int udp = pair.udp.get();
  CHECK_FALSE(*ListenSockets::restore(pair));
  CHECK(pair.udp.get() == udp);
  {
    const UniqueFd workers_udp(dup(pair.udp.get()));
    const UniqueFd workers_tcp(dup(pair.tcp.get()));
    leave_port(workers_udp.get(), Protocol::udp);
    leave_port(workers_tcp.get(), Protocol::tcp);
    CHECK(probe_bind(first, Protocol::tcp) == 0);
    CHECK(*ListenSockets::restore(pair));
  }
  CHECK_FALSE(has_left_port(pair.udp.get(), Protocol::udp));
  CHECK_FALSE(has_left_port(pair.tcp.get(), Protocol::tcp));
  CHECK(probe_bind(first, Protocol::udp) == EADDRINUSE);
  CHECK(probe_bind(first, Protocol::tcp) == EADDRINUSE);
}

}  // namespace
}  // namespace dotrelay
