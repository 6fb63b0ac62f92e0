// Sockets over loopback: who holds a port, and the ways that connections go.
#include "net/sockets.hpp"

#include "net/acceptor.hpp"
#include "net/loopback.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <vector>

namespace dotrelay::test {
namespace {

TEST_CASE("endpoints go to the kernel's form and back") {
  for (const char* text : {"192.0.2.7:853", "[2001:db8::1]:12555"}) {
    const Endpoint endpoint = *parse_endpoint(text, 0);
    CHECK(to_endpoint(to_socket_address(endpoint)) == endpoint);
  }
}

TEST_CASE("a port that is in use is noticed, although our own listeners share it") {
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    const UniqueFd first = listener(loopback(), protocol);
    const Endpoint endpoint = bound_to(first);
    CHECK(probe_bind(endpoint, protocol) == EADDRINUSE);
    CHECK(listener(endpoint, protocol));  // SO_REUSEPORT
    CHECK(probe_bind(loopback(), protocol) == 0);
  }
  CHECK(errno_text(EADDRINUSE) == "address in use");
  CHECK(errno_text(ECONNREFUSED) == "connection refused");
  CHECK(errno_text(ETIMEDOUT) == "connection timed out");
}

TEST_CASE("an address that this machine does not have yet can be bound, unless its interface is not there") {
  int error = 0;
  for (const char* text : {"192.0.2.1:5353", "[2001:db8::1]:5353"}) {
    const Endpoint endpoint = *parse_endpoint(text, 0);
    const UniqueFd fd = make_listener(endpoint, Protocol::udp, error);
    CHECK(join_port(fd.get(), endpoint, Protocol::udp) == 0);
  }
  const Endpoint scoped = *parse_endpoint("[fe80::1%none-such]:5353", 0);
  const UniqueFd fd = make_listener(scoped, Protocol::udp, error);
  CHECK(join_port(fd.get(), scoped, Protocol::udp) == ENODEV);
}

TEST_CASE("a way that this machine does not have is told before anything is sent") {
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  int error = 0;
  CHECK_FALSE(
      begin_connect(bound_to(server), {.source = *parse_ip_address("192.0.2.1"), .interface = {}, .mark = 0}, error));
  CHECK(error == EADDRNOTAVAIL);
  CHECK_FALSE(
      begin_connect(bound_to(server), {.source = {}, .interface = *Scope::parse("none-such"), .mark = 0}, error));
  CHECK(error == ENODEV);
  const UniqueFd client = begin_connect(
      bound_to(server), {.source = *parse_ip_address("127.0.0.9"), .interface = *Scope::parse("lo"), .mark = 0}, error);
  CHECK(error == 0);
  CHECK(bound_to(client).address == *parse_ip_address("127.0.0.9"));
  CHECK_FALSE(route_has_changed(client.get(), bound_to(server),
                                {.source = *parse_ip_address("127.0.0.9"), .interface = {}, .mark = 0}));
  CHECK(route_has_changed(client.get(), bound_to(server), {}));
}

TEST_CASE("a connection with small segments, both ways") {
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  int error = 0;
  const UniqueFd client = begin_connect(bound_to(server), {}, error, 536);
  REQUIRE(client);
  wait_readable(server.get());
  const AcceptResult accepted = accept_connection(server.get());
  REQUIRE(accepted.status == AcceptResult::Status::accepted);
  for (const int fd : {client.get(), accepted.fd.get()}) {
    int segment = 0;
    socklen_t size = sizeof segment;
    REQUIRE(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &size) == 0);
    CHECK(segment <= 536);
    CHECK(segment > 400);  // less the options of each
  }
}

TEST_CASE("a connection from an address that the kernel would not choose now") {
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  const UniqueFd client = listener(loopback("127.0.0.2"), Protocol::udp);
  const SocketAddress target = to_socket_address(bound_to(server));
  REQUIRE(connect(client.get(), target.raw(), target.size) == 0);
  CHECK_FALSE(route_has_changed(connect_to(server).get(), bound_to(server), {}));
  CHECK(route_has_changed(client.get(), bound_to(server), {}));
  CHECK(route_has_changed(-1, bound_to(server), {}));
}

TEST_CASE("a connection that nobody answers yet goes the way that it would go now") {
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  REQUIRE(listen(server.get(), 0) == 0);  // room for one; the kernel drops what the others say
  std::vector<UniqueFd> clients;
  int error = 0;
  for (int i = 0; i < 4; ++i) clients.push_back(begin_connect(bound_to(server), {}, error));
  pollfd waiting{clients.back().get(), POLLOUT, 0};
  REQUIRE(poll(&waiting, 1, 20) == 0);
  CHECK_FALSE(route_has_changed(clients.back().get(), bound_to(server), {}));
}

TEST_CASE("a connection to a port that nobody serves") {
  const Endpoint unused = bound_to(listener(loopback(), Protocol::tcp));
  int error = 0;
  const UniqueFd client = begin_connect(unused, {}, error);
  if (client) {
    pollfd waiting{client.get(), POLLOUT, 0};
    REQUIRE(poll(&waiting, 1, 2000) == 1);
    error = take_socket_error(client.get());
  }
  CHECK(error == ECONNREFUSED);
}

}  // namespace
}  // namespace dotrelay::test
