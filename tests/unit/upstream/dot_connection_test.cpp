// A connection over real sockets, to a server in this process: handshake, frames, tickets, and each way to end.
#include "upstream/dot_connection.hpp"

#include "upstream/dot_server.hpp"

#include <algorithm>
#include <memory>
#include <string>

namespace dotrelay::test {
namespace {

using State = Connection::State;

class Link : private ConnectionEvents {
 public:
  explicit Link(const ServerOptions& options = {}, const std::string& server_name = "upstream.test")
      : side(options), client(server_name), server(loop, side) {}

  /// The endpoint of the server, unless another is given.
  void dial(std::optional<Endpoint> endpoint = std::nullopt) {
    reason.reset();
    connection.reset();
    inside_dial_ = true;
    connection = std::make_unique<DotConnection>(DotConnection::Wiring{loop, *this, {}},
                                                 DotConnection::Way{endpoint ? *endpoint : server.endpoint(), egress_},
                                                 DotConnection::Environment{client.context(), tickets, counters, 0});
    inside_dial_ = false;
  }

  /// Turns the loop until it is so, for two seconds at most.
  template <class Condition>
  bool wait_for(Condition condition) {
    const TimePoint end = Clock::now() + std::chrono::seconds(2);
    while (!condition() && Clock::now() < end) {
      Timer timer(loop, [this] { loop.stop(); });
      timer.set(Clock::now() + std::chrono::milliseconds(1));
      loop.run();
    }
    return condition();
  }
  /// At both ends.
  void dial_until_ready() {
    const std::size_t before = server.established;
    dial();
    REQUIRE(wait_for([&] { return connection->state() == State::ready && server.established > before; }));
  }
  bool wait_for_end() {
    return wait_for([&] { return reason.has_value(); });
  }

  [[nodiscard]] std::uint64_t count(UpstreamCounter counter) const { return counters.get(counter, 0); }

  Loop loop;
  ServerSide side;
  ClientSide client;
  DotServer server;
  Counters counters;
  std::unique_ptr<TicketPool> pool = std::make_unique<TicketPool>();
  TicketStore tickets{*pool, 1, client.context()};
  std::vector<Octets> messages;
  std::optional<CloseReason> reason;
  std::unique_ptr<DotConnection> connection;

 private:
  void on_activity(ConnectionHandle, TimePoint) noexcept override {
    CHECK_FALSE(inside_dial_);
    while (const auto message = connection->next_message()) messages.emplace_back(message->begin(), message->end());
    if (connection->state() == State::closed) reason = connection->close_reason();
  }

  Egress egress_;
  bool inside_dial_ = false;
};

TEST_CASE("queries of one turn leave together, answers come back frame by frame") {
  Link link;
  link.dial_until_ready();
  CHECK(link.count(UpstreamCounter::upstream_handshakes) == 1);
  const Octets first(40, 1);
  const Octets second(50, 2);
  CHECK(link.connection->send(first));
  CHECK(link.connection->send(second));
  REQUIRE(link.wait_for([&] { return link.server.queries.size() == 2; }));
  CHECK(link.server.queries == std::vector<Octets>{first, second});
  CHECK(link.server.records == 1);
  const Octets large(60000, 3);
  link.server.answer(large);
  link.server.answer({});
  REQUIRE(link.wait_for([&] { return link.messages.size() == 2; }));
  CHECK(link.messages == std::vector<Octets>{large, {}});
  CHECK_FALSE(link.reason);
}

TEST_CASE("it refuses what exceeds its queue, and takes more once that has left") {
  Link link;
  link.dial_until_ready();
  const Octets message(60000, 1);
  std::size_t taken = 0;
  while (link.connection->send(message)) ++taken;
  CHECK(taken == DotConnection::kMaxQueuedBytes / (message.size() + dns::kFramePrefix));
  REQUIRE(link.wait_for([&] { return link.server.queries.size() == taken; }));
  CHECK(link.connection->send(message));
}

TEST_CASE("a port where nothing listens: unreachable, told after the dial") {
  Link link;
  const Endpoint closed = link.server.endpoint();
  link.server.stop_listening();
  link.dial(closed);
  REQUIRE(link.wait_for_end());
  CHECK(link.reason->kind == CloseKind::unreachable);
  CHECK(link.reason->text == "connection refused");
}

TEST_CASE("an address that this host cannot reach: no route") {
  Link link;
  link.dial(*parse_endpoint("255.255.255.255:853", 0));
  REQUIRE(link.wait_for_end());
  CHECK(link.reason->kind == CloseKind::no_route);
}

TEST_CASE("the certificate of another name: authentication, and no query has left") {
  Link link({}, "other.test");
  link.dial();
  REQUIRE(link.wait_for_end());
  CHECK(link.reason->kind == CloseKind::authentication);
  CHECK(link.reason->text.find("other.test") != std::string::npos);
  CHECK(link.server.queries.empty());
  CHECK(link.count(UpstreamCounter::upstream_handshakes) == 0);
}

TEST_CASE("a server that closes: in the handshake a failure, later an end like any other") {
  Link link;
  link.server.next = DotServer::Manner::closes_on_hello;
  link.dial();
  REQUIRE(link.wait_for_end());
  CHECK(link.reason->kind == CloseKind::unreachable);
  CHECK(link.reason->text == "connection closed during the TLS handshake");

  link.dial_until_ready();
  link.server.answer({1, 2, 3});
  link.server.close_all();
  REQUIRE(link.wait_for_end());
  CHECK(link.reason->kind == CloseKind::closed_by_peer);
  CHECK(link.messages == std::vector<Octets>{{1, 2, 3}});
}

TEST_CASE("a server that does not speak TLS") {
  Link link;
  link.server.next = DotServer::Manner::says_garbage;
  link.dial();
  REQUIRE(link.wait_for_end());
  CHECK(link.reason->kind == CloseKind::tls);
}

TEST_CASE("the next connection resumes the session") {
  Link link;
  link.dial_until_ready();
  link.server.answer({1});  // tickets come before it
  REQUIRE(link.wait_for([&] { return link.messages.size() == 1; }));
  link.dial_until_ready();
  CHECK(link.count(UpstreamCounter::upstream_handshakes) == 2);
  CHECK(link.count(UpstreamCounter::upstream_resumptions) == 1);
  CHECK(link.connection->description().find("resumed") != std::string::npos);
}

TEST_CASE("a handshake that fails with a ticket begins again without one, and the tickets of that server go") {
  Link link;
  link.dial_until_ready();
  link.server.answer({1});
  REQUIRE(link.wait_for([&] { return link.messages.size() == 1; }));
  link.server.next = DotServer::Manner::closes_on_hello;
  link.dial_until_ready();
  CHECK_FALSE(link.reason);
  CHECK(link.server.accepted == 3);
  CHECK(link.count(UpstreamCounter::upstream_tickets_refused) == 1);
  CHECK(link.count(UpstreamCounter::upstream_resumptions) == 0);
  CHECK(link.counters.get(Counter::upstream_dials) == 1);
}

TEST_CASE("the path: what was sent and acknowledged is not silent, and its round trip is known") {
  Link link;
  link.dial_until_ready();
  link.connection->send(Octets(40));
  REQUIRE(link.wait_for([&] { return link.server.queries.size() == 1; }));
  const PathState path = link.connection->path(Clock::now(), {});
  CHECK_FALSE(path.silent);
  CHECK(path.round_trip > Duration{});
  CHECK_FALSE(link.connection->route_has_changed());
}

}  // namespace
}  // namespace dotrelay::test
