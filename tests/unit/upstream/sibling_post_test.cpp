// The post between workers over real sockets: queries and answers, a sibling that does not read, dies, or runs wild.
#include "upstream/sibling_post.hpp"

#include "net/descriptor_passing.hpp"

#include <array>
#include <doctest/doctest.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

using Octets = std::vector<std::uint8_t>;
using Kind = SiblingRecord::Kind;

/// Worker 1 with its post; the test is worker 2. There is no upstream, so nothing can be lent.
class Post : private ConnectionEvents {
 public:
  Post() { post.report_to(*this, lending_); }
  ~Post() { connection.reset(); }

  void turn() {
    Timer timer(loop, [this] { loop.stop(); });
    timer.set(Clock::now() + std::chrono::milliseconds(2));
    loop.run();
  }

  /// What worker 2 finds in its mailbox.
  std::optional<SiblingRecord> received() {
    const ReceivedMessage message = receive_message(theirs_.first.get(), buffer_);
    if (message.status != ReceivedMessage::Status::message) return std::nullopt;
    return SiblingRecord::read(Bytes(buffer_).first(message.size));
  }

  void send(const SiblingRecord& record) {
    REQUIRE(send_message(ours_.second.get(), record.head(), record.message, -1) == 0);
  }
  void send_octets(Bytes octets) { REQUIRE(send_message(ours_.second.get(), octets, {}, -1) == 0); }
  void shut_down() { shutdown(ours_.second.get(), SHUT_RDWR); }
  void end_reader() { theirs_.first.reset(); }

  std::unique_ptr<Connection> connection;
  std::vector<Octets> messages;
  int activities = 0;

 private:
  void on_activity(ConnectionHandle, TimePoint) noexcept override {
    ++activities;
    while (const auto message = connection->next_message()) messages.emplace_back(message->begin(), message->end());
    if (connection->state() == Connection::State::closed) {
      reason = connection->close_reason();
      connection.reset();
    }
  }

  std::pair<UniqueFd, UniqueFd> ours_ = *make_channel();
  std::pair<UniqueFd, UniqueFd> theirs_ = *make_channel();
  std::vector<int> mailboxes_ = {ours_.second.get(), theirs_.second.get()};
  std::vector<std::uint8_t> buffer_ = Octets(SiblingRecord::kMaxBytes + 1);
  std::vector<UpstreamConfig> no_upstreams_;
  Random random_{1};
  UpstreamSet upstreams_{no_upstreams_, {}, {}, std::chrono::seconds(1), random_};
  Slab<Query> queries_;
  InFlight hashes_{queries_, {}};
  Counters counters_;

 public:
  std::optional<CloseReason> reason;
  Loop loop;
  SiblingPost post{loop, 1, ours_.first.get(), mailboxes_};

 private:
  Lending lending_{upstreams_, hashes_, counters_, std::chrono::seconds(4), &post};
};

TEST_CASE("a query goes out, its answer comes back, and the sibling hears of the end") {
  Post post;
  post.connection = post.post.connect(2, 3, {});
  CHECK(post.connection->state() == Connection::State::ready);
  const Octets query(100, 1);
  CHECK(post.connection->send(query));
  const auto sent = post.received();
  REQUIRE(sent);
  CHECK(sent->kind == Kind::query);
  CHECK(sent->worker == 1);
  CHECK(sent->address == 3);
  CHECK(equal(sent->message, query));
  const Octets answer(60000, 2);
  const std::uint32_t link = sent->link;
  post.send({.kind = Kind::answer, .worker = 2, .link = link, .message = answer});
  post.turn();
  CHECK(post.messages == std::vector<Octets>{answer});
  post.connection.reset();
  const auto left = post.received();
  REQUIRE(left);
  CHECK(left->kind == Kind::left);
  CHECK(left->link == link);
}

TEST_CASE("a way ends when the sibling closes or refuses it, or dies") {
  for (const Kind kind : {Kind::closed, Kind::refused, Kind::died}) {
    Post post;
    post.connection = post.post.connect(2, 0, {});
    post.connection->send(Octets(12));
    const std::uint32_t link = post.received()->link;
    post.send({.kind = kind, .worker = 2, .link = kind == Kind::died ? 0 : link});
    post.turn();
    REQUIRE(post.reason);
    CHECK(post.reason->kind == (kind == Kind::refused ? CloseKind::unreachable : CloseKind::closed_by_peer));
    CHECK_FALSE(post.received());  // it needs no word that the way is left
  }
}

TEST_CASE("records of a worker that runs wild change nothing") {
  Post post;
  post.connection = post.post.connect(2, 0, {});
  post.connection->send(Octets(12));
  const std::uint32_t link = post.received()->link;
  post.send({.kind = Kind::answer, .worker = 1, .link = link, .message = Octets(12)});  // not the lender
  post.send({.kind = Kind::answer, .worker = 2, .link = link + 1, .message = Octets(12)});
  post.send({.kind = Kind::closed, .worker = 999, .link = link});
  post.send({.kind = Kind::died, .worker = 999});
  post.send({.kind = Kind::died, .worker = 1});
  post.send({.kind = Kind::left, .worker = 2, .link = 77});
  for (std::size_t size = 1; size < 40; ++size) post.send_octets(Octets(size, 255));
  post.turn();
  CHECK(post.activities == 0);
  post.send({.kind = Kind::query, .worker = 2, .link = 5, .address = 65535, .message = Octets(30, 7)});
  post.turn();
  const auto refused = post.received();
  REQUIRE(refused);
  CHECK(refused->kind == Kind::refused);
  CHECK(refused->link == 5);
  post.shut_down();
  for (int i = 0; i < 3; ++i) post.turn();
  CHECK(post.connection->state() == Connection::State::ready);
}

TEST_CASE("a sibling that does not read is not waited for, and gets what was kept for it when it reads") {
  Post post;
  post.connection = post.post.connect(2, 0, {});
  std::size_t taken = 0;
  while (taken < 10000 && post.connection->send(Octets(128, 1))) ++taken;
  CHECK(taken < 10000);
  CHECK(taken >= SiblingPost::kMaxQueuedBytes / 140);
  std::size_t read = 0;
  for (int i = 0; i < 100 && read < taken; ++i) {
    while (post.received()) ++read;
    post.turn();
  }
  CHECK(read == taken);
  CHECK(post.connection->send(Octets(128, 1)));
}

TEST_CASE("a mailbox that has gone refuses") {
  Post post;
  post.connection = post.post.connect(2, 0, {});
  post.end_reader();
  CHECK_FALSE(post.connection->send(Octets(12)));
  CHECK_FALSE(post.post.connect(9, 0, {})->send(Octets(12)));
}

}  // namespace
}  // namespace dotrelay
