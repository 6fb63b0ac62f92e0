// One TCP client over a socket pair, with a forwarder on fake upstreams: framing, half-close, what it may be owed, and
// the time that it has.
#include "listener/tcp_session.hpp"

#include "listener/tcp_server.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <utility>

namespace dotrelay::test {
namespace {

/// Descriptors that are always ready, and more than libuv takes from the kernel at once: it then polls again in the
/// same turn, and reports the clients that have become ready once more.
class Crowd final : private PollListener {
 public:
  /// `on_first` is called when the first of them is reported.
  Crowd(Loop& loop, std::function<void()> on_first) : on_first_(std::move(on_first)) {
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int i = 0; i < 1100; ++i) {
      fds_.emplace_back(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
      REQUIRE(fds_.back().get() >= 0);
      pollers_.emplace_back(loop, fds_.back().get(), static_cast<PollListener&>(*this)).watch(true, false);
    }
  }

 private:
  void on_poll(bool, bool) noexcept override {
    if (on_first_) std::exchange(on_first_, {})();
  }

  std::function<void()> on_first_;
  std::list<UniqueFd> fds_;
  std::list<Poller> pollers_;
};

TEST_CASE("pipelined queries are answered in the order in which answers come") {
  Server server;
  const UniqueFd client = server.connect();
  send_all(client, framed_query(1, "one.example") + framed_query(2, "two.example"));
  server.turn();
  server.upstream_ready();
  server.upstream_answers(1);
  server.upstream_answers(0);
  server.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{2, 1});
  CHECK_FALSE(ended(client));
}

TEST_CASE("a query that comes octet by octet") {
  Server server;
  const UniqueFd client = server.connect();
  for (const std::uint8_t octet : framed_query(7)) {
    send_all(client, {octet});
    server.turn(milliseconds(1));
  }
  server.upstream_ready();
  server.upstream_answers(0);
  server.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{7});
}

TEST_CASE("long and short queries in pieces of any size are taken whole and in order") {
  const Octets longest = frame(Octets(65535, 0));
  Octets all = framed_query(1, "localhost") + longest + framed_query(2, "localhost") + framed_query(3, "localhost") +
               frame({}) + framed_query(4, "localhost") + longest + framed_query(5, "localhost");
  for (const std::size_t piece :
       {std::size_t{37}, std::size_t{1000}, std::size_t{5000}, std::size_t{70'000}, all.size()}) {
    CAPTURE(piece);
    Server server;
    const UniqueFd client = server.connect();
    for (std::size_t at = 0; at < all.size(); at += piece) {
      const std::size_t end = std::min(all.size(), at + piece);
      send_all(client,
               Octets(all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(end)));
      server.turn(milliseconds(1));
    }
    server.turn();
    std::vector<unsigned> answered = ids(receive(client));
    std::erase(answered, 0U);  // of the longest, should they be answered
    CHECK(answered == std::vector<unsigned>{1, 2, 3, 4, 5});
    CHECK_FALSE(ended(client));
  }
}

TEST_CASE("a client that sends more in the turn in which it was read") {
  Server server;
  const UniqueFd client = server.connect();
  const Octets all = framed_query(1, "localhost") + framed_query(2, "localhost") + framed_query(3, "localhost");
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  send_all(client, Octets(all.begin(), middle));
  const Crowd crowd(server.loop, [&] { send_all(client, Octets(middle, all.end())); });
  server.turn(milliseconds(50));
  CHECK(ids(receive(client)) == std::vector<unsigned>{1, 2, 3});
}

TEST_CASE("an answer after a long wait leaves, although the client has been idle for so long") {
  Server server(100, milliseconds(100));
  const UniqueFd client = server.connect();
  send_all(client, framed_query(1));
  server.turn(milliseconds(300));
  server.upstream_ready();
  server.upstream_answers(0);
  server.turn(milliseconds(60));
  CHECK(ids(receive(client)) == std::vector<unsigned>{1});
  CHECK_FALSE(ended(client));
}

TEST_CASE("a client that closes its side gets its answers and then the end") {
  Server server;
  const UniqueFd client = server.connect();
  send_all(client, framed_query(1));
  shutdown(client.get(), SHUT_WR);
  server.turn();
  CHECK_FALSE(server.clients.empty());
  CHECK_FALSE(ended(client));
  server.upstream_ready();
  server.upstream_answers(0);
  server.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1});
  CHECK(ended(client));
  CHECK(server.clients.empty());
}

TEST_CASE("a client that goes while an answer is owed: the answer finds no client") {
  Server server;
  {
    const UniqueFd client = server.connect();
    send_all(client, framed_query(1));
    server.turn();
    server.upstream_ready();
  }
  server.turn();
  server.upstream_answers(0);
  server.turn();
  CHECK(server.relay.forwarder.idle());
  CHECK(server.clients.empty());
}

TEST_CASE("a client may have 256 queries in flight; the others wait in its socket") {
  Server server;
  const UniqueFd client = server.connect();
  Octets all;
  for (unsigned i = 0; i < 300; ++i) all = all + framed_query(i, "n" + std::to_string(i) + ".example");
  send_all(client, all);
  server.turn();
  CHECK(server.relay.count(Counter::queries_tcp) == 256);
  server.upstream_ready();
  server.upstream_answers(0);
  server.turn();
  CHECK(server.relay.count(Counter::queries_tcp) == 257);
  for (std::size_t i = 1; i < 300; ++i) {
    while (server.relay.line(0).sent.size() <= i) server.turn();
    server.upstream_answers(i);
  }
  server.turn();
  CHECK(ids(receive(client)).size() == 300);
}

TEST_CASE("what the relay answers itself comes at once, also many times in one turn") {
  Server server;
  const UniqueFd client = server.connect();
  Octets all;
  for (unsigned i = 0; i < 50; ++i) all = all + framed_query(i, "localhost");
  send_all(client, all);
  server.turn();
  CHECK(ids(receive(client)).size() == 50);
}

TEST_CASE("an answer given while the query is still being taken in does not upset the count of what is owed") {
  Server server;
  const UniqueFd client = server.connect();
  send_all(client, framed_query(1));
  server.turn();
  server.relay.now = Clock::now();
  server.relay.end(0, CloseKind::authentication, "certificate expired");
  send_all(client, framed_query(2, "two.example") + framed_query(3, "three.example"));
  shutdown(client.get(), SHUT_WR);
  server.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1, 2, 3});
  CHECK(ended(client));
  CHECK(server.clients.empty());
}

TEST_CASE("a half-sent query times out, although octets of it come in every turn") {
  Server server(100, milliseconds(50));
  const UniqueFd half = server.connect(u8(255));
  server.loop.on_turn_end([&] {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    send(half.get(), "x", 1, MSG_NOSIGNAL);
  });
  server.turn(milliseconds(200));
  CHECK(ended(half));
}

TEST_CASE("a client that does not read its answers is read no further, and times out") {
  Server server(100, milliseconds(200));
  const UniqueFd client = server.connect();
  const Octets query = framed_query(1, "localhost");
  ssize_t accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    const ssize_t size = send(client.get(), query.data(), query.size(), MSG_NOSIGNAL);
    if (size < 0) {
      server.turn(milliseconds(1));
      if (send(client.get(), query.data(), query.size(), MSG_NOSIGNAL) < 0) break;
    }
    accepted += size;
  }
  CHECK(accepted < 4 << 20);
  server.turn(milliseconds(400));
  CHECK(server.clients.empty());
  CHECK(server.relay.count(Counter::tcp_timed_out) == 1);
}

TEST_CASE("messages that are no queries buy no time") {
  Server server(100, milliseconds(100));
  const UniqueFd empty = server.connect();
  const UniqueFd response = server.connect();
  const UniqueFd halves = server.connect();
  const Octets no_query = frame(MessageBuilder(1, 0x8000).question("www.example"));
  for (int i = 0; i < 12; ++i) {
    send(empty.get(), "\0\0", 2, MSG_NOSIGNAL);
    send(response.get(), no_query.data(), no_query.size(), MSG_NOSIGNAL);
    send(halves.get(), "\0\0\0", 3, MSG_NOSIGNAL);
    server.turn(milliseconds(15));
    send(halves.get(), "\0", 1, MSG_NOSIGNAL);
    server.turn(milliseconds(10));
  }
  CHECK(ended(empty));
  CHECK(ended(response));
  CHECK(ended(halves));
  CHECK(server.relay.count(Counter::tcp_timed_out) == 3);
}

TEST_CASE("a client whose answers are long is read no further than what they may take") {
  Server server;
  const UniqueFd client = server.connect(framed_query(1, "big.example"));
  server.turn();
  server.upstream_ready();
  const Octets record = u16(0xc00c) + u16(16) + u16(1) + u16(0) + u16(60) + u16(60'000) + Octets(60'000, 0);
  server.relay.receive(0, answer_to(server.relay.line(0).sent[0], 0, 1, record));
  server.turn();
  REQUIRE(ids(receive(client)) == std::vector<unsigned>{1});
  Octets all;
  for (unsigned i = 0; i < 100; ++i) all = all + framed_query(i, "n" + std::to_string(i) + ".example");
  send_all(client, all);
  server.turn();
  CHECK(server.relay.count(Counter::queries_tcp) == 1 + UnreadBudget::kMaxUnread / 60'014 + 1);
}

}  // namespace
}  // namespace dotrelay::test
