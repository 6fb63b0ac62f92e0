// Datagrams over loopback, with a forwarder on fake upstreams: which clients are answered, which are not, and how a
// worker stops.
#include "listener/udp_listener.hpp"

#include "net/loopback.hpp"
#include "relay/relay_fixture.hpp"

#include <set>
#include <string>
#include <vector>

namespace dotrelay::test {
namespace {

struct UdpServer {
  explicit UdpServer(const char* allowed = "127.0.0.0/8") { allow.ranges = {*parse_address_range(allowed)}; }

  RelayFixture relay;
  Loop loop;
  AllowList allow;
  SharedWord told_at{};
  SourceFilter sources{allow, told_at, relay.counters, relay.log};
  UniqueFd socket = listener(loopback(), Protocol::udp);
  UdpListener udp{loop, socket.get(), relay.forwarder, sources, relay.counters};

  void turn() {
    Timer stop(loop, [this] { loop.stop(); });
    stop.set(Clock::now() + milliseconds(5));
    loop.run();
  }

  void ask(const UniqueFd& client, unsigned id, std::string_view qname) const {
    const Octets query = MessageBuilder(id).question(qname);
    const SocketAddress target = to_socket_address(bound_to(socket));
    REQUIRE(sendto(client.get(), query.data(), query.size(), 0, target.raw(), target.size) ==
            static_cast<ssize_t>(query.size()));
  }

  void upstream_ready() {
    relay.now = Clock::now();
    relay.ready(0);
  }
  void upstream_answers(std::size_t query) {
    relay.now = Clock::now();
    relay.answer(0, query);
  }
};

UniqueFd make_client() { return listener(loopback(), Protocol::udp); }

/// The IDs of the answers that have come.
std::multiset<unsigned> answers(const UniqueFd& client) {
  std::multiset<unsigned> ids;
  DatagramReceiver receiver(client.get());
  for (auto batch = receiver.receive(); !batch.empty(); batch = receiver.receive()) {
    for (const Datagram& datagram : batch) {
      REQUIRE(datagram.payload.size() > 12);
      ids.insert(static_cast<unsigned>(datagram.payload[0] << 8 | datagram.payload[1]));
    }
  }
  return ids;
}

using Ids = std::multiset<unsigned>;

TEST_CASE("what the relay answers itself comes in the same turn, also more than is sent at once") {
  UdpServer server;
  const UniqueFd clients[] = {make_client(), make_client()};
  constexpr unsigned kEach = DatagramSender::kMaxQueued / 2 + 20;
  for (unsigned id = 0; id < kEach; ++id) {
    for (const UniqueFd& client : clients) server.ask(client, id, "localhost");
  }
  server.turn();
  for (const UniqueFd& client : clients) CHECK(answers(client).size() == kEach);
  CHECK(server.relay.count(Counter::queries_udp) == 2 * kEach);
  CHECK(server.udp.flushed());
}

TEST_CASE("an upstream's answer goes to the client that asked, in any order") {
  UdpServer server;
  const UniqueFd one = make_client();
  const UniqueFd other = make_client();
  server.ask(one, 1, "one.example");
  server.turn();
  server.ask(other, 2, "two.example");
  server.ask(other, 3, "one.example");
  server.turn();
  server.upstream_ready();
  CHECK(answers(one).empty());
  server.upstream_answers(1);
  CHECK_FALSE(server.udp.flushed());
  server.turn();
  CHECK(answers(one).empty());
  CHECK(answers(other) == Ids{2});
  server.upstream_answers(0);
  server.turn();
  CHECK(answers(one) == Ids{1});
  CHECK(answers(other) == Ids{3});
  server.udp.shrink();
  server.ask(one, 4, "localhost");
  server.turn();
  CHECK(answers(one) == Ids{4});
}

TEST_CASE("a source that may not ask gets nothing, and is counted") {
  UdpServer server("192.0.2.0/24");
  const UniqueFd client = make_client();
  server.ask(client, 1, "localhost");
  server.turn();
  CHECK(answers(client).empty());
  CHECK(server.relay.count(Counter::denied) == 1);
  CHECK(server.relay.count(Counter::queries_udp) == 0);
}

TEST_CASE("a port whose service answers anything gets nothing, and is counted") {
  UdpServer server;
  const Endpoint echo = loopback("127.0.0.77", 7);
  int error = 0;
  const UniqueFd client = make_listener(echo, Protocol::udp, error);
  if (!client || join_port(client.get(), echo, Protocol::udp) != 0) {
    MESSAGE("SKIPPED: port 7 cannot be bound (needs root)");
    return;
  }
  server.ask(client, 1, "localhost");
  server.turn();
  CHECK(answers(client).empty());
  CHECK(server.relay.count(Counter::reflections) == 1);
}

TEST_CASE("stopped: what was read is answered, the rest is left in the socket for another process") {
  UdpServer server;
  const UniqueFd client = make_client();
  server.ask(client, 1, "one.example");
  server.turn();
  server.udp.stop();
  server.ask(client, 2, "localhost");
  server.upstream_ready();
  server.upstream_answers(0);
  server.turn();
  CHECK(answers(client) == Ids{1});
  DatagramReceiver successor(server.socket.get());
  CHECK(successor.receive().size() == 1);
}

TEST_CASE("leaving: what has arrived is read and answered, and nothing comes any more") {
  UdpServer server;
  const UniqueFd client = make_client();
  for (unsigned id = 1; id <= 50; ++id) server.ask(client, id, "localhost");
  server.udp.leave_port();
  CHECK(has_left_port(server.socket.get(), Protocol::udp));
  server.ask(client, 51, "localhost");
  server.turn();
  const Ids got = answers(client);
  CHECK(got.size() == 50);
  CHECK_FALSE(got.contains(51));
}

}  // namespace
}  // namespace dotrelay::test
