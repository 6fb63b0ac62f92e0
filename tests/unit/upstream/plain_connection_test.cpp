// A connection without TLS over real sockets: frames both ways, its ends, and where it does not go.
#include "upstream/plain_connection.hpp"

#include "dns/framing.hpp"
#include "net/loopback.hpp"

#include <memory>
#include <vector>

namespace dotrelay::test {
namespace {

using Octets = std::vector<std::uint8_t>;
using State = Connection::State;

/// A query of 12 octets, or with these flags a response.
Octets header(std::uint16_t id, std::uint16_t flags = 0x0100) {
  Octets octets(12);
  store_u16(&octets[0], id);
  store_u16(&octets[2], flags);
  return octets;
}

Octets framed(const Octets& message) {
  const auto prefix = dns::frame_prefix(message.size());
  Octets octets(prefix.begin(), prefix.end());
  octets.insert(octets.end(), message.begin(), message.end());
  return octets;
}

class Link : private ConnectionEvents {
 public:
  void dial(std::optional<Endpoint> endpoint = std::nullopt) {
    connection =
        std::make_unique<PlainConnection>(FramedConnection::Wiring{loop, *this, {}},
                                          FramedConnection::Way{endpoint ? *endpoint : bound_to(server), egress_});
    inside_dial_ = false;
  }

  /// The peer's end of an established connection.
  UniqueFd dial_until_ready() {
    dial();
    REQUIRE(wait_for([&] { return connection->state() == State::ready; }));
    wait_readable(server.get());
    return UniqueFd(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
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

  Loop loop;
  UniqueFd server = listener(loopback(), Protocol::tcp);
  std::vector<Octets> messages;
  std::optional<CloseReason> reason;
  std::unique_ptr<PlainConnection> connection;

 private:
  void on_activity(ConnectionHandle, TimePoint) noexcept override {
    CHECK_FALSE(inside_dial_);
    while (const auto message = connection->next_message()) messages.emplace_back(message->begin(), message->end());
    if (connection->state() == State::closed) reason = connection->close_reason();
  }

  Egress egress_;
  bool inside_dial_ = true;
};

bool readable(const UniqueFd& fd) {
  pollfd waiting{fd.get(), POLLIN, 0};
  return poll(&waiting, 1, 0) == 1;
}

Octets receive(const UniqueFd& peer, std::size_t size) {
  Octets octets(size);
  REQUIRE(recv(peer.get(), octets.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
  return octets;
}

void transmit(const UniqueFd& peer, const Octets& octets) {
  REQUIRE(::send(peer.get(), octets.data(), octets.size(), 0) == static_cast<ssize_t>(octets.size()));
}

TEST_CASE("messages leave as frames and come back as frames, in pieces, too") {
  Link link;
  const UniqueFd peer = link.dial_until_ready();
  CHECK(link.connection->send(header(1)));
  CHECK(link.connection->send(header(2)));
  REQUIRE(link.wait_for([&] { return readable(peer); }));
  CHECK(receive(peer, 14) == framed(header(1)));
  CHECK(receive(peer, 14) == framed(header(2)));
  const Octets large(60000, 3);
  Octets answers = framed(header(2, 0x8180));
  const Octets second = framed(large);
  answers.insert(answers.end(), second.begin(), second.end());
  transmit(peer, Octets(answers.begin(), answers.begin() + 7));
  const TimePoint a_while = Clock::now() + std::chrono::milliseconds(20);
  link.wait_for([&] { return Clock::now() >= a_while; });
  CHECK(link.messages.empty());
  transmit(peer, Octets(answers.begin() + 7, answers.end()));
  REQUIRE(link.wait_for([&] { return link.messages.size() == 2; }));
  CHECK(link.messages[0] == header(2, 0x8180));
  CHECK(link.messages[1].size() == large.size());
  CHECK(link.connection->description() == "plain text on purpose");
}

TEST_CASE("AD does not get through, all other flags do; what is too short for a header stays as it is") {
  Link link;
  const UniqueFd peer = link.dial_until_ready();
  transmit(peer, framed(header(1, 0xffff)));
  transmit(peer, framed({1, 2, 0xff, 0xff}));
  transmit(peer, framed({}));
  REQUIRE(link.wait_for([&] { return link.messages.size() == 3; }));
  CHECK(link.messages[0] == header(1, 0xffdf));
  CHECK(link.messages[1] == Octets{1, 2, 0xff, 0xff});
  CHECK(link.messages[2].empty());
}

TEST_CASE("its ends: closed by the server, nothing listens") {
  Link link;
  { const UniqueFd peer = link.dial_until_ready(); }
  REQUIRE(link.wait_for([&] { return link.reason.has_value(); }));
  CHECK(link.reason->kind == CloseKind::closed_by_peer);
  link.reason.reset();
  const Endpoint closed = bound_to(link.server);
  link.server.reset();
  link.dial(closed);
  REQUIRE(link.wait_for([&] { return link.reason.has_value(); }));
  CHECK(link.reason->kind == CloseKind::unreachable);
  CHECK(link.reason->text == "connection refused");
}

TEST_CASE("a public address gets no packet, whatever the checks of the configuration have let through") {
  Link link;
  link.dial(*parse_endpoint("192.0.2.1", 53));
  CHECK(link.connection->state() == State::closed);
  REQUIRE(link.wait_for([&] { return link.reason.has_value(); }));
  CHECK(link.reason->kind == CloseKind::no_route);
  CHECK(link.reason->text == "not a private address, so nothing is sent there in plain text");
}

}  // namespace
}  // namespace dotrelay::test
