// Sockets over loopback: who holds a port, datagrams that keep their addresses, and streams.
#include "net/sockets.hpp"
#include "net/datagrams.hpp"
#include "net/tcp_acceptor.hpp"
#include "net/tcp_stream.hpp"

#include <cerrno>
#include <cstring>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

Endpoint loopback(const char* address = "127.0.0.1", std::uint16_t port = 0) {
  return {*parse_ip_address(address), port};
}

Endpoint bound_to(const UniqueFd& fd) {
  SocketAddress address;
  REQUIRE(getsockname(fd.get(), address.raw(), &address.size) == 0);
  return to_endpoint(address);
}

UniqueFd listener(const Endpoint& endpoint, Protocol protocol) {
  int error = 0;
  UniqueFd fd = make_listener(endpoint, protocol, error);
  REQUIRE_MESSAGE(fd, std::strerror(error));
  REQUIRE(join_port(fd.get(), endpoint, protocol) == 0);
  return fd;
}

void wait_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  REQUIRE(poll(&waiting, 1, 2000) == 1);
}

struct Deaf final : PollListener {
  void on_poll(bool, bool) noexcept override {}
};

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

TEST_CASE("a wildcard socket answers from the address that was asked") {
  const UniqueFd server = listener(loopback("0.0.0.0"), Protocol::udp);
  for (const char* address : {"127.0.0.1", "127.0.0.9", "127.1.2.3"}) {
    const UniqueFd client = listener(loopback(), Protocol::udp);
    SocketAddress target = to_socket_address(loopback(address, bound_to(server).port));
    REQUIRE(sendto(client.get(), "question", 8, 0, target.raw(), target.size) == 8);
    wait_readable(server.get());
    DatagramReceiver receiver(server.get());
    const auto batch = receiver.receive();
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].payload.size() == 8);
    CHECK(batch[0].route.endpoint() == bound_to(client));
    CHECK(batch[0].route.local == *parse_ip_address(address));
    DatagramSender sender;
    sender.queue(batch[0].route, batch[0].payload);
    CHECK(sender.send(server.get()) == 0);
    CHECK(sender.empty());
    wait_readable(client.get());
    DatagramReceiver answers(client.get());
    const auto answer = answers.receive();
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].route.endpoint() == Endpoint{*parse_ip_address(address), bound_to(server).port});
  }
}

TEST_CASE("an IPv6 wildcard socket answers from the address that was asked") {
  if (probe_bind(loopback("::1"), Protocol::udp) != 0) return;
  const UniqueFd server = listener(loopback("::"), Protocol::udp);
  const UniqueFd client = listener(loopback("::1"), Protocol::udp);
  DatagramSender question;
  question.queue(DatagramRoute({*parse_ip_address("::1"), bound_to(server).port}), std::vector<std::uint8_t>(5, 1));
  REQUIRE(question.send(client.get()) == 0);
  wait_readable(server.get());
  DatagramReceiver receiver(server.get());
  const auto batch = receiver.receive();
  REQUIRE(batch.size() == 1);
  CHECK(batch[0].route.endpoint() == bound_to(client));
  CHECK(batch[0].route.local == *parse_ip_address("::1"));
  DatagramSender sender;
  sender.queue(batch[0].route, batch[0].payload);
  CHECK(sender.send(server.get()) == 0);
  wait_readable(client.get());
  DatagramReceiver answers(client.get());
  CHECK(answers.receive().size() == 1);
}

TEST_CASE("many datagrams arrive in batches, whole, in order, empty ones too") {
  const UniqueFd server = listener(loopback(), Protocol::udp);
  const UniqueFd client = listener(loopback(), Protocol::udp);
  DatagramSender sender;
  const DatagramRoute route(bound_to(server));
  for (std::size_t i = 0; i < 100; ++i)
    sender.queue(route, std::vector<std::uint8_t>(i * 12, static_cast<std::uint8_t>(i)));
  CHECK(sender.send(client.get()) == 0);
  DatagramReceiver receiver(server.get());
  std::size_t received = 0;
  while (received < 100) {
    wait_readable(server.get());
    const auto batch = receiver.receive();
    REQUIRE(batch.size() <= DatagramReceiver::kBatch);
    for (const Datagram& datagram : batch) {
      REQUIRE(datagram.payload.size() == received * 12);
      REQUIRE(datagram.route.endpoint() == bound_to(client));
      REQUIRE_FALSE(datagram.route.local);  // the socket has one address only
      if (received > 0) CHECK(datagram.payload.back() == received);
      ++received;
    }
  }
  CHECK(receiver.receive().empty());
}

TEST_CASE("a datagram that cannot be sent does not hold up the others") {
  const UniqueFd server = listener(loopback(), Protocol::udp);
  const UniqueFd client = listener(loopback(), Protocol::udp);
  const DatagramRoute good(bound_to(server), *parse_ip_address("127.0.0.1"));
  const DatagramRoute bad({*parse_ip_address("255.255.255.255"), 1});
  DatagramSender sender;
  const std::uint8_t octet = 1;
  sender.queue(good, {&octet, 1});
  sender.queue(bad, {&octet, 1});
  sender.queue(good, {&octet, 1});
  CHECK(sender.send(client.get()) == 1);
  CHECK(sender.empty());
  wait_readable(server.get());
  DatagramReceiver receiver(server.get());
  CHECK(receiver.receive().size() == 2);
}

TEST_CASE("connections: nobody yet, accepted with the peer's address, refused") {
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  disable_nagle(server.get());
  CHECK(accept_connection(server.get()).status == AcceptResult::Status::nothing_yet);
  int error = 0;
  const UniqueFd client = begin_connect(bound_to(server), {}, error);
  REQUIRE(client);
  wait_readable(server.get());
  const AcceptResult accepted = accept_connection(server.get());
  REQUIRE(accepted.status == AcceptResult::Status::accepted);
  CHECK(accepted.peer == bound_to(client));
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  REQUIRE(getsockopt(accepted.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
  CHECK(no_delay == 1);  // inherited
  CHECK_FALSE(route_has_changed(client.get(), bound_to(server), {}));
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

TEST_CASE("a stream: octets, nothing yet, the end, a reset, and a queue longer than the kernel takes") {
  Loop loop;
  Deaf deaf;
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  int error = 0;
  std::optional<TcpStream> near;
  near.emplace(loop, begin_connect(bound_to(server), {}, error), deaf);
  wait_readable(server.get());
  TcpStream far(loop, accept_connection(server.get()).fd, deaf);
  std::vector<std::uint8_t> buffer(1 << 16);
  CHECK(far.read(buffer).status == TcpStream::ReadStatus::nothing_yet);

  ByteQueue queue;
  queue.append(std::vector<std::uint8_t>(32 << 20, 7));
  CHECK(near->write(queue) == 0);
  CHECK_FALSE(queue.empty());
  std::size_t received = 0;
  while (received < 32 << 20) {
    wait_readable(far.fd());
    const auto result = far.read(buffer);
    REQUIRE(result.status == TcpStream::ReadStatus::data);
    received += result.size;
    REQUIRE(near->write(queue) == 0);
  }
  CHECK(queue.empty());

  TcpStream::ReadStatus expected = TcpStream::ReadStatus::end;
  SUBCASE("closed") { near.reset(); }
  SUBCASE("one side closed") { shutdown(near->fd(), SHUT_WR); }
  SUBCASE("reset") {
    near->reset_on_close();
    near.reset();
    expected = TcpStream::ReadStatus::error;
  }
  wait_readable(far.fd());
  CHECK(far.read(buffer).status == expected);
}

}  // namespace
}  // namespace dotrelay
