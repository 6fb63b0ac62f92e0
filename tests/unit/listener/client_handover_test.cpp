// Clients on their way from one worker to the next, both in this process: what is owed, half read, ended, refused.
#include "listener/client_handover.hpp"

#include "listener/tcp_server.hpp"
#include "net/descriptor_passing.hpp"

namespace dotrelay::test {
namespace {

/// Two workers and the channel between them.
class Handover {
 public:
  explicit Handover(std::size_t limit = 100, const char* allowed = "127.0.0.0/8") : after(limit) {
    allow_.ranges = {*parse_address_range(allowed)};
    auto [one, other] = *make_channel();
    channel_ = std::move(one);
    receiver.emplace(after.loop, std::move(other), after.clients, sources_);
  }

  Server before{2000};
  Server after;
  std::optional<ClientHandover> sender;
  std::optional<ClientReceiver> receiver;

  void begin() {
    sender.emplace(before.loop, std::move(channel_), before.clients);
    before.clients.hand_over(*sender);
  }
  void turn() {
    before.turn();
    after.turn();
  }
  /// The channel closes with the old worker's end.
  void end() { sender.reset(); }

 private:
  AllowList allow_;
  SharedWord told_at_{};
  SourceFilter sources_{allow_, told_at_, after.relay.counters, after.relay.log};
  UniqueFd channel_;
};

TEST_CASE("an idle client is served by the successor") {
  Handover handover;
  const UniqueFd client = handover.before.connect();
  handover.begin();
  handover.turn();
  CHECK(handover.before.clients.empty());
  send_all(client, framed_query(1));
  handover.turn();
  handover.after.upstream_ready();
  handover.after.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1});
  CHECK_FALSE(handover.receiver->ended());
  handover.end();
  handover.turn();
  CHECK(handover.receiver->ended());
}

TEST_CASE("what is owed comes first; what is sent meanwhile waits for the successor") {
  Handover handover;
  const UniqueFd client = handover.before.connect();
  send_all(client, framed_query(1));
  handover.turn();
  handover.begin();
  send_all(client, framed_query(2));
  handover.turn();
  CHECK_FALSE(handover.before.clients.empty());
  handover.before.upstream_ready();
  handover.before.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1});
  CHECK(handover.before.clients.empty());
  handover.turn();
  handover.after.upstream_ready();
  handover.after.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{2});
}

TEST_CASE("a query cut anywhere is put together again") {
  const Octets query = framed_query(7);
  for (std::size_t cut = 1; cut < query.size(); ++cut) {
    CAPTURE(cut);
    Handover handover;
    const UniqueFd client = handover.before.connect();
    send_all(client, Octets(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(cut)));
    handover.turn();
    handover.begin();
    handover.turn();
    send_all(client, Octets(query.begin() + static_cast<std::ptrdiff_t>(cut), query.end()));
    handover.turn();
    handover.after.upstream_ready();
    handover.after.upstream_answers(0);
    handover.turn();
    CHECK(ids(receive(client)) == std::vector<unsigned>{7});
  }
}

TEST_CASE("what was read in the turn in which the handover begins is answered here or goes along") {
  Handover handover;
  const Octets second = framed_query(2, "two.example");
  const UniqueFd client = handover.before.connect(framed_query(1) + Octets(second.begin(), second.begin() + 5));
  handover.begin();
  send_all(client, Octets(second.begin() + 5, second.end()));
  handover.turn();
  handover.before.upstream_ready();
  handover.before.upstream_answers(0);
  handover.turn();
  handover.after.upstream_ready();
  handover.after.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1, 2});
}

TEST_CASE("a client that has closed its side ends with its last answer") {
  Handover handover;
  const UniqueFd client = handover.before.connect();
  send_all(client, framed_query(1));
  shutdown(client.get(), SHUT_WR);
  handover.turn();
  handover.begin();
  handover.before.upstream_ready();
  handover.before.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(client)) == std::vector<unsigned>{1});
  CHECK(ended(client));
  CHECK(handover.after.clients.empty());
}

TEST_CASE("a client accepted after the beginning goes as well") {
  Handover handover;
  handover.begin();
  const UniqueFd client = handover.before.connect();
  handover.turn();
  CHECK(handover.before.clients.empty());
  CHECK_FALSE(handover.after.clients.empty());
}

TEST_CASE("without a successor at the other end clients are answered and drained") {
  Handover handover;
  handover.receiver.reset();
  const UniqueFd asking = handover.before.connect();
  const UniqueFd idle = handover.before.connect_heard();
  handover.begin();
  send_all(asking, framed_query(1));
  handover.turn();
  CHECK(ended(idle));
  handover.before.upstream_ready();
  handover.before.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(asking)) == std::vector<unsigned>{1});
  CHECK(handover.before.clients.empty());
}

TEST_CASE("more clients than the channel holds at once") {
  Handover handover(2000);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(handover.before.connect());
    send_all(clients.back(), {0});
  }
  handover.before.turn();
  handover.begin();
  handover.before.turn();
  CHECK_FALSE(handover.before.clients.empty());
  for (int i = 0; i < 10; ++i) handover.turn();
  CHECK(handover.before.clients.empty());
  for (const UniqueFd& client : clients) REQUIRE_FALSE(ended(client));
}

TEST_CASE("a client that is given up while it waits to be passed on is reset: what was read of it is lost") {
  Handover handover;
  const UniqueFd given_up = handover.before.connect({0});
  const UniqueFd other = handover.before.connect({0});
  handover.turn();
  handover.begin();
  handover.before.clients.find({0, 1})->give_up();
  handover.turn();
  CHECK(handover.before.clients.empty());
  CHECK(ended(given_up));
  CHECK_FALSE(ended(other));
}

TEST_CASE("the successor's limit and its allow list hold") {
  Handover small(1);
  const UniqueFd one = small.before.connect();
  const UniqueFd other = small.before.connect();
  small.begin();
  small.turn();
  CHECK(ended(one));
  CHECK_FALSE(ended(other));
  CHECK(small.after.relay.count(Counter::tcp_shed) == 1);

  Handover strict(100, "192.0.2.0/24");
  const UniqueFd client = strict.before.connect();
  strict.begin();
  strict.turn();
  CHECK(ended(client));
  CHECK(strict.after.relay.count(Counter::denied) == 1);
}

TEST_CASE("a successor that itself drains answers the clients that have asked") {
  Handover handover;
  const UniqueFd asking = handover.before.connect();
  const UniqueFd idle = handover.before.connect();
  handover.begin();
  send_all(asking, framed_query(1));
  handover.before.turn();
  handover.after.clients.drain();
  handover.receiver->receive_all();
  handover.turn();
  CHECK_FALSE(ended(idle));  // its first query might be on its way
  handover.after.turn(TcpSession::kFirstQueryPatience + milliseconds(100));
  CHECK(ended(idle));
  handover.after.upstream_ready();
  handover.after.upstream_answers(0);
  handover.turn();
  CHECK(ids(receive(asking)) == std::vector<unsigned>{1});
  CHECK(handover.after.clients.empty());
}

TEST_CASE("a client that arrives when the way to the next worker has gone already drains") {
  Handover first;
  const UniqueFd asking = first.before.connect();
  const UniqueFd idle = first.before.connect();
  auto [way, successor] = *make_channel();
  std::optional<ClientHandover> second(std::in_place, first.after.loop, std::move(way), first.after.clients);
  first.after.clients.hand_over(*second);
  first.begin();
  send_all(asking, framed_query(1));
  first.before.turn();
  second.reset();
  first.receiver->receive_all();
  first.after.turn(TcpSession::kFirstQueryPatience + milliseconds(100));
  CHECK(ended(idle));
  first.after.upstream_ready();
  first.after.upstream_answers(0);
  first.turn();
  CHECK(ids(receive(asking)) == std::vector<unsigned>{1});
  CHECK(first.after.clients.empty());
}

}  // namespace
}  // namespace dotrelay::test
