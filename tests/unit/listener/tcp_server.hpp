// TCP clients over socket pairs, with a forwarder on fake upstreams, for the tests of this folder.
#pragma once

#include "listener/tcp_clients.hpp"

#include "relay/relay_fixture.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <vector>

namespace dotrelay::test {

inline Octets frame(const Octets& message) { return u16(static_cast<unsigned>(message.size())) + message; }

/// The server's side: a loop that the test turns, and the clients of one worker.
class Server {
 public:
  explicit Server(std::size_t limit = 100, Duration idle = seconds(30), std::uint32_t memory_chunks = 1024)
      : memory(memory_words, 0, memory_chunks),
        clients(loop, relay.forwarder, relay.counters, memory, {limit, idle}),
        stop_(loop, [this] { loop.stop(); }),
        wake_(loop, [this] { relay.forwarder.on_timer(relay.now = loop.now()); }) {
    loop.on_turn_end([this] { wake_.set(relay.forwarder.next_timeout(loop.now())); });
  }

  RelayFixture relay;
  Loop loop;
  std::vector<SharedWord> memory_words = std::vector<SharedWord>(1);
  MemoryBudget memory;  ///< of the clients; that of the queries is the relay's
  TcpClients clients;

  /// Connects a client, which has sent `sent` by the time it is accepted; returns its end.
  UniqueFd connect(const Octets& sent = {}) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    REQUIRE(send(ends[0], sent.data(), sent.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(sent.size()));
    IpAddress source;
    source.octets = {127, 0, 0, 1};
    clients.add(UniqueFd(ends[1]), source);
    return UniqueFd(ends[0]);
  }

  /// Lets the loop work for `time`.
  void turn(Duration time = milliseconds(5)) {
    stop_.set(Clock::now() + time);
    loop.run();
  }

  /// Connects a client that has asked and been answered before.
  UniqueFd connect_heard() {
    UniqueFd client = connect(frame(MessageBuilder(0).question("localhost")));
    turn();
    std::uint8_t answer[512];
    REQUIRE(recv(client.get(), answer, sizeof answer, MSG_DONTWAIT) > 0);
    return client;
  }

  /// Connects the one upstream, once a client has asked.
  void upstream_ready() {
    relay.now = Clock::now();
    relay.ready(0);
  }
  void upstream_answers(std::size_t query) {
    relay.now = Clock::now();
    relay.answer(0, query);
  }

 private:
  Timer stop_;
  Timer wake_;
};

inline Octets framed_query(unsigned id, std::string_view qname = "www.example") {
  return frame(MessageBuilder(id).question(qname));
}

inline void send_all(const UniqueFd& fd, const Octets& octets) {
  REQUIRE(send(fd.get(), octets.data(), octets.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(octets.size()));
}

/// What the client has received by now.
inline Octets receive(const UniqueFd& fd) {
  Octets buffer(1 << 20);
  const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  buffer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return buffer;
}

/// Whether the server has closed the connection (and nothing is left to read).
inline bool ended(const UniqueFd& fd) {
  std::uint8_t octet;
  const ssize_t size = recv(fd.get(), &octet, 1, MSG_DONTWAIT);
  return size == 0 || (size < 0 && errno != EAGAIN);
}

/// The IDs of the framed messages in `stream`, in their order.
inline std::vector<unsigned> ids(const Octets& stream) {
  std::vector<unsigned> result;
  for (std::size_t at = 0; at + 4 <= stream.size(); at += 2U + (stream[at] << 8 | stream[at + 1])) {
    result.push_back(static_cast<unsigned>(stream[at + 2] << 8 | stream[at + 3]));
  }
  return result;
}

}  // namespace dotrelay::test
