// Connections over loopback: accepted, left to others, and waiting while descriptors are short.
#include "net/acceptor.hpp"

#include "net/loopback.hpp"

#include <chrono>
#include <functional>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <vector>

namespace dotrelay::test {
namespace {

using std::chrono::milliseconds;

/// A server that keeps what it accepts.
struct Keeper final : private PollListener {
  Loop loop;
  FreedDescriptors freed{loop};
  UniqueFd socket = listener(loopback(), Protocol::tcp);
  std::optional<Acceptor> acceptor{std::in_place, loop, socket.get(), static_cast<PollListener&>(*this), freed};
  std::vector<UniqueFd> accepted;
  int shortages = 0;

  void on_poll(bool, bool) noexcept override {
    for (;;) {
      AcceptResult result = acceptor->next();
      if (result.status == AcceptResult::Status::no_descriptors) ++shortages;
      if (result.status != AcceptResult::Status::accepted) return;
      accepted.push_back(std::move(result.fd));
    }
  }

  void turn(Duration time = milliseconds(5)) {
    Timer stop(loop, [this] { loop.stop(); });
    stop.set(Clock::now() + time);
    loop.run();
  }
};

TEST_CASE("no client yet, then a connection with the peer's address and what it inherits") {
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  disable_nagle(server.get());
  CHECK(accept_connection(server.get()).status == AcceptResult::Status::nothing_yet);
  const UniqueFd client = connect_to(server);
  wait_readable(server.get());
  const AcceptResult accepted = accept_connection(server.get());
  REQUIRE(accepted.status == AcceptResult::Status::accepted);
  CHECK(accepted.peer == bound_to(client));
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  REQUIRE(getsockopt(accepted.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
  CHECK(no_delay == 1);
}

TEST_CASE("all clients that wait are accepted, in several turns") {
  Keeper keeper;
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(connect_to(keeper.socket));
  keeper.turn(milliseconds(20));
  CHECK(keeper.accepted.size() == 20);
}

TEST_CASE("while descriptors are short clients wait, until one is freed") {
  Keeper keeper;
  const UniqueFd client = connect_to(keeper.socket);
  {
    const NoDescriptors none;
    keeper.turn();
    keeper.turn();
    CHECK(keeper.shortages == 1);
  }
  keeper.turn();
  CHECK(keeper.accepted.empty());
  keeper.freed.one_freed();
  keeper.turn();
  CHECK(keeper.accepted.size() == 1);
}

TEST_CASE("while descriptors are short and none is freed it tries again after a while") {
  Keeper keeper;
  const UniqueFd client = connect_to(keeper.socket);
  const TimePoint start = Clock::now();
  {
    const NoDescriptors none;
    keeper.turn(Acceptor::kPause + Acceptor::kPause / 2);
    CHECK(keeper.shortages == 2);
  }
  while (keeper.accepted.empty() && Clock::now() < start + 20 * Acceptor::kPause) keeper.turn();
  CHECK(keeper.accepted.size() == 1);
}

TEST_CASE("stopped, also during a pause: those who wait are left to others") {
  Keeper keeper;
  const UniqueFd client = connect_to(keeper.socket);
  SUBCASE("") {}
  SUBCASE("during a pause") {
    const NoDescriptors none;
    keeper.turn();
    REQUIRE(keeper.shortages == 1);
  }
  keeper.acceptor->stop();
  keeper.freed.one_freed();
  keeper.turn(Acceptor::kPause + milliseconds(20));
  CHECK(keeper.accepted.empty());
  CHECK(accept_connection(keeper.socket.get()).status == AcceptResult::Status::accepted);
}

TEST_CASE("an acceptor that goes during a pause hears nothing more") {
  Keeper keeper;
  const UniqueFd client = connect_to(keeper.socket);
  {
    const NoDescriptors none;
    keeper.turn();
  }
  keeper.acceptor.reset();
  keeper.freed.one_freed();
  keeper.turn();
  CHECK(keeper.accepted.empty());
}

TEST_CASE("at the end all are accepted in one go, and the port is left to others") {
  Keeper keeper;
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect_to(keeper.socket));
  int accepted = 0;
  while (keeper.acceptor->accept().status == AcceptResult::Status::accepted) ++accepted;
  CHECK(accepted == 5);
  keeper.acceptor->leave_port();
  CHECK(has_left_port(keeper.socket.get(), Protocol::tcp));
}

}  // namespace
}  // namespace dotrelay::test
