// A listening socket on loopback: which clients are accepted, which refused, and what happens when descriptors run out.
#include "listener/tcp_listener.hpp"

#include "listener/tcp_server.hpp"
#include "net/loopback.hpp"

namespace dotrelay::test {
namespace {

struct Door {
  explicit Door(const char* allowed) { allow.ranges = {*parse_address_range(allowed)}; }

  Server server;
  AllowList allow;
  SharedWord told_at{};
  SourceFilter sources{allow, told_at, server.relay.counters, server.relay.log};
  UniqueFd socket = listener(loopback(), Protocol::tcp);
  TcpListener tcp{server.loop, socket.get(), server.clients, sources, {server.relay.counters, server.relay.log}};

  [[nodiscard]] std::uint64_t accepted() const { return server.relay.count(Counter::tcp_accepted); }
};

TEST_CASE("a client that may ask is served") {
  Door door("127.0.0.0/8");
  const UniqueFd client = connect_to(door.socket);
  send_all(client, framed_query(1, "localhost"));
  door.server.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1});
  CHECK(door.accepted() == 1);
}

TEST_CASE("a client that may not ask is reset") {
  Door door("192.0.2.0/24");
  const UniqueFd client = connect_to(door.socket);
  door.server.turn();
  CHECK(take_socket_error(client.get()) == ECONNRESET);
  CHECK(door.accepted() == 1);
  CHECK(door.server.relay.count(Counter::denied) == 1);
  CHECK(door.server.clients.empty());
}

TEST_CASE("while descriptors are short clients wait, and the log says so once; one that leaves makes room") {
  Door door("127.0.0.0/8");
  UniqueFd first = connect_to(door.socket);
  send_all(first, framed_query(1, "localhost"));
  door.server.turn();
  REQUIRE(door.accepted() == 1);
  const UniqueFd second = connect_to(door.socket);
  const UniqueFd third = connect_to(door.socket);
  {
    const NoDescriptors none;
    door.server.turn(Acceptor::kPause + Acceptor::kPause / 2);
    CHECK(door.server.relay.count(Counter::accept_pauses) == 2);
    CHECK(door.accepted() == 1);
    shutdown(first.get(), SHUT_WR);
    door.server.turn();
    CHECK(door.accepted() == 2);  // with the descriptor of the first
  }
  const std::string log = door.server.relay.logged();
  CHECK(contains(log, "no descriptor is left for another TCP client"));
  CHECK(log.find("no descriptor") == log.rfind("no descriptor"));
}

TEST_CASE("leave_port: clients that wait are accepted, then the port is left to others") {
  Door door("127.0.0.0/8");
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect_to(door.socket));
  door.tcp.leave_port();
  CHECK(door.accepted() == 5);
  CHECK(has_left_port(door.socket.get(), Protocol::tcp));
  for (const UniqueFd& client : clients) CHECK_FALSE(ended(client));
}

TEST_CASE("stop: clients that wait are left to another process") {
  Door door("127.0.0.0/8");
  const UniqueFd client = connect_to(door.socket);
  door.tcp.stop();
  door.server.turn();
  CHECK(door.accepted() == 0);
  CHECK(accept_connection(door.socket.get()).status == AcceptResult::Status::accepted);
}

}  // namespace
}  // namespace dotrelay::test
