// All TCP clients of a worker over socket pairs, with a forwarder on fake upstreams: the limits, which clients
// have to go, and when all go.
#include "listener/tcp_clients.hpp"

#include "listener/tcp_server.hpp"

#include <algorithm>

namespace dotrelay::test {
namespace {

TEST_CASE("the least recently used idle client makes room for a new one") {
  Server server(3);
  const UniqueFd first = server.connect();
  const UniqueFd second = server.connect();
  const UniqueFd third = server.connect();
  send_all(first, framed_query(1, "localhost"));
  server.turn();
  const UniqueFd fourth = server.connect();
  server.turn();
  CHECK_FALSE(ended(third));
  CHECK(ended(second));
  CHECK(ids(receive(first)).size() == 1);
  CHECK_FALSE(ended(first));
  CHECK_FALSE(ended(fourth));
  CHECK(server.relay.count(Counter::tcp_shed) == 1);
}

TEST_CASE("a client that has sent half a query in this turn makes room, one that has sent a whole query does not") {
  Server server(2);
  const UniqueFd asking = server.connect(framed_query(1));
  const UniqueFd half = server.connect(u8(0));
  const UniqueFd next = server.connect();
  server.turn();
  CHECK(ended(half));
  CHECK_FALSE(ended(asking));
  CHECK_FALSE(ended(next));
  CHECK(server.relay.count(Counter::tcp_shed) == 1);
}

TEST_CASE("clients that are owed answers stay; then the new one has to go") {
  Server server(2);
  const UniqueFd first = server.connect();
  const UniqueFd second = server.connect();
  send_all(first, framed_query(1));
  send_all(second, framed_query(2));
  server.turn();
  const UniqueFd third = server.connect();
  server.turn();
  CHECK(ended(third));
  CHECK_FALSE(ended(first));
  CHECK_FALSE(ended(second));
  CHECK(server.relay.count(Counter::tcp_shed) == 1);
}

TEST_CASE("idle clients and half-sent queries time out, but never one that is owed an answer") {
  Server server(100, milliseconds(200));
  const UniqueFd idle = server.connect();
  const UniqueFd half = server.connect();
  const UniqueFd owed = server.connect();
  send_all(owed, framed_query(1));
  send_all(half, u8(0));
  for (int i = 0; i < 12; ++i) {
    server.turn(milliseconds(40));
    if (!ended(half)) send(half.get(), "x", 1, MSG_NOSIGNAL);  // octets alone buy no time
  }
  CHECK(ended(idle));
  CHECK(ended(half));
  CHECK_FALSE(ended(owed));
  CHECK(server.relay.count(Counter::tcp_timed_out) == 2);
}

TEST_CASE("when unread answers fill their place, clients that do not read have to go, and not the next that asks") {
  Server server(400);
  std::vector<UniqueFd> deaf;
  for (unsigned client = 0; client < 300; ++client) {
    deaf.push_back(server.connect());
    for (unsigned id = 0; id < 7; ++id) send_all(deaf.back(), framed_query(id, "big.example"));
  }
  server.turn(milliseconds(50));
  const UniqueFd reader = server.connect();
  send_all(reader, framed_query(99, "big.example"));
  server.turn(milliseconds(50));
  server.upstream_ready();
  REQUIRE(server.relay.line(0).sent.size() == 1);
  const Octets record = u16(0xc00c) + u16(16) + u16(1) + u16(0) + u16(60) + u16(60'000) + Octets(60'000, 0);
  server.relay.receive(0, answer_to(server.relay.line(0).sent[0], 0, 1, record));
  Octets received;
  for (int i = 0; i < 200 && received.size() < 60'000; ++i) {  // in portions, the reader last
    server.turn(milliseconds(20));
    received = received + receive(reader);
  }
  CHECK(ids(received) == std::vector<unsigned>{99});
  CHECK_FALSE(ended(reader));
  CHECK(server.memory.used() <= 1024 * MemoryBudget::kChunkBytes);
  CHECK(server.relay.count(Counter::tcp_shed) > 0);
  CHECK(server.relay.count(Counter::tcp_shed) < 300);
}

TEST_CASE("drain: what has arrived is answered, then all clients go") {
  Server server;
  const UniqueFd asking = server.connect();
  const UniqueFd idle = server.connect_heard();
  send_all(asking, framed_query(1));
  server.clients.drain();
  server.turn();
  CHECK(ended(idle));
  CHECK_FALSE(server.clients.empty());
  server.upstream_ready();
  server.upstream_answers(0);
  server.turn();
  CHECK(ids(receive(asking)) == std::vector<unsigned>{1});
  CHECK(server.clients.empty());
}

TEST_CASE(
    "drain in the turn in which clients were read: a client that has asked is answered, also what it sent since") {
  Server server;
  const Octets second = framed_query(2, "two.example");
  const UniqueFd asking = server.connect(framed_query(1) + Octets(second.begin(), second.begin() + 5));
  const UniqueFd half = server.connect_heard();
  send_all(half, u8(0));
  send_all(asking, Octets(second.begin() + 5, second.end()));
  server.clients.drain();
  server.turn();
  CHECK(ended(half));
  server.upstream_ready();
  server.upstream_answers(0);
  server.upstream_answers(1);
  server.turn();
  CHECK(ids(receive(asking)) == std::vector<unsigned>{1, 2});
  CHECK(server.clients.empty());
}

TEST_CASE("drain: a client that has just connected may have its first query on its way, and gets its answer") {
  Server server;
  const UniqueFd fresh = server.connect();
  const UniqueFd silent = server.connect();
  server.clients.drain();
  server.turn();
  send_all(fresh, framed_query(1, "localhost"));
  server.turn();
  CHECK(ids(receive(fresh)) == std::vector<unsigned>{1});
  CHECK(ended(fresh));
  CHECK_FALSE(ended(silent));
  server.turn(TcpSession::kFirstQueryPatience + milliseconds(100));
  CHECK(ended(silent));
  CHECK(server.clients.empty());
}

TEST_CASE("many busy clients: the one that has been idle longest makes room, however many wait for answers") {
  Server server(200);
  std::vector<UniqueFd> busy;
  std::vector<UniqueFd> idle;
  std::vector<UniqueFd> fresh;
  for (unsigned i = 0; i < 100; ++i) busy.push_back(server.connect());
  for (unsigned i = 0; i < 100; ++i) idle.push_back(server.connect());
  for (unsigned i = 0; i < 100; ++i) send_all(busy[i], framed_query(i, "n" + std::to_string(i) + ".example"));
  server.turn(milliseconds(20));
  for (unsigned i = 0; i < 20; ++i) {
    fresh.push_back(server.connect(framed_query(7, "localhost")));
    server.turn();
    CHECK(ids(receive(fresh.back())) == std::vector<unsigned>{7});
    CHECK(ended(idle[i]));
  }
  for (const UniqueFd& client : busy) CHECK_FALSE(ended(client));
}

TEST_CASE("half-sent queries count as memory: those that owe most of it go, and the others are served") {
  Server server(200, seconds(30), 8);  // 256 KiB
  std::vector<UniqueFd> half;
  for (unsigned i = 0; i < 20; ++i) half.push_back(server.connect(u16(60'000) + Octets(30'000, 0)));
  server.turn(milliseconds(20));
  CHECK(server.memory.used() <= 8 * MemoryBudget::kChunkBytes);
  const auto gone = std::ranges::count_if(half, [](const UniqueFd& client) { return ended(client); });
  CHECK(gone > 5);
  CHECK(gone < 20);
  CHECK(server.relay.count(Counter::tcp_shed) == static_cast<std::uint64_t>(gone));
  const UniqueFd asking = server.connect(framed_query(3, "localhost"));
  server.turn();
  CHECK(ids(receive(asking)) == std::vector<unsigned>{3});
  half.clear();
  server.turn();
  CHECK(server.memory.used() < MemoryBudget::kChunkBytes);
}

TEST_CASE(
    "a client's connection ends at once, its session at the end of the turn, and answers in between find no client") {
  Server server(1);
  const UniqueFd client = server.connect(framed_query(1));
  server.turn();
  server.upstream_ready();
  const Handle<TcpSession> handle{0, 1};
  REQUIRE(server.clients.find(handle) != nullptr);
  server.clients.remove(handle);
  CHECK(ended(client));
  CHECK(server.clients.find(handle) == nullptr);
  CHECK(server.clients.empty());
  server.upstream_answers(0);
  const UniqueFd next = server.connect(framed_query(2, "localhost"));  // its place is free already
  server.turn();
  CHECK(ids(receive(next)) == std::vector<unsigned>{2});
  CHECK(server.relay.forwarder.idle());
  CHECK(server.relay.count(Counter::tcp_shed) == 0);
}

TEST_CASE("a client whose query has arrived is removed before it is taken") {
  Server server;
  const UniqueFd client = server.connect(framed_query(1));
  server.clients.remove({0, 1});
  server.turn();
  CHECK(server.relay.count(Counter::queries_tcp) == 0);
  CHECK(server.clients.empty());
  CHECK(server.memory.used() == 0);
}

TEST_CASE("of a client that is given up nothing more is taken in that turn, and it sees a reset") {
  Server server;
  UniqueFd client = server.connect();
  server.turn();
  send_all(client, framed_query(1));
  TcpSession* const session = server.clients.find({0, 1});
  REQUIRE(session != nullptr);
  session->give_up();
  session->give_up();
  CHECK(server.clients.find({0, 1}) == nullptr);
  CHECK(session->expiry(seconds(30)) == kNever);
  server.turn();
  CHECK(ended(client));
  CHECK(server.clients.empty());
  CHECK(server.relay.count(Counter::queries_tcp) == 0);
  CHECK(server.relay.count(Counter::tcp_shed) == 1);
}

}  // namespace
}  // namespace dotrelay::test
