// Random lives: clients ask, connections come, answer, lie, stall and go in any order. What must hold whatever happens:
// each client gets one answer, no later than its deadline; no ID is used twice while it is reserved; nothing is left.
#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

class Life {
 public:
  explicit Life(std::uint32_t seed) : relay_({1, 2, 1}, seed), chance_(seed ^ 0x5eed) {}

  void live() {
    for (int step = 0; step < 3000; ++step) {
      act();
    }
    relay_.advance(seconds(5));
    for (const auto& [number, client] : relay_.channel.clients) {
      CAPTURE(number);
      REQUIRE(client.answers.size() == 1);
      REQUIRE(client.answered_at - client.asked_at <= seconds(4));
    }
    REQUIRE(relay_.forwarder.idle());
    for (const Line& line : relay_.upstreams.lines) REQUIRE_FALSE(line.id_reused);
    // What is open now closes for idleness, and then the forwarder wants no timer.
    relay_.refuse_all();
    relay_.advance(seconds(31));
    REQUIRE(relay_.upstreams.open() == 0);
    REQUIRE(relay_.forwarder.next_timeout(relay_.now) == kNever);
    REQUIRE(relay_.count(Counter::answers) == relay_.channel.clients.size());
  }

 private:
  void act() {
    switch (chance_.below(8)) {
      case 0:
      case 1:
      case 2:
        relay_.ask("n" + std::to_string(chance_.below(40)) + ".example", {.type = 1 + chance_.below(2) * 27});
        return;
      case 3:
        return relay_.advance(milliseconds(chance_.below(10) == 0 ? chance_.below(2000) : chance_.below(60)));
      default:
        break;
    }
    std::vector<std::size_t> open;
    for (std::size_t i = first_open_; i < relay_.upstreams.lines.size(); ++i) {
      if (!relay_.line(i).gone) open.push_back(i);
    }
    if (open.empty()) return;
    first_open_ = open.front();
    const std::size_t index = open[chance_.below(static_cast<std::uint32_t>(open.size()))];
    Line& line = relay_.line(index);
    if (line.state == Connection::State::connecting) {
      if (chance_.below(3) > 0) return relay_.ready(index);
      return end(index);
    }
    use(index, line);
  }

  void use(std::size_t index, Line& line) {
    if (line.sent.empty()) return;
    const auto recent = std::min<std::uint32_t>(static_cast<std::uint32_t>(line.sent.size()), 12);
    const SentQuery& query = line.sent[line.sent.size() - 1 - chance_.below(recent)];
    switch (chance_.below(12)) {
      case 0:
        return end(index);
      case 1:
        return relay_.receive(index, Octets(chance_.below(20), 0x80));
      case 2:
        return relay_.receive(index, answer_to(query, 2));
      case 3:
        return relay_.receive(index, header_only(query, 1 + chance_.below(5)));
      case 4:
        line.silent = !line.silent;
        return;
      case 5:
        line.takes_queries = chance_.below(4) != 0;
        return;
      case 6: {
        // Several in one turn, and perhaps the end behind them.
        for (int i = 0; i < 3; ++i)
          line.inbox.push_back(answer_to(line.sent[chance_.below(static_cast<std::uint32_t>(line.sent.size()))]));
        if (chance_.below(2) == 0) return end(index);
        return relay_.notify(line);
      }
      default:
        return relay_.receive(index, answer_to(query, chance_.below(5) == 0 ? 3 : 0));
    }
  }

  void end(std::size_t index) {
    static constexpr CloseKind kKinds[] = {CloseKind::closed_by_peer, CloseKind::unreachable,    CloseKind::no_route,
                                           CloseKind::timed_out,      CloseKind::authentication, CloseKind::tls};
    relay_.end(index, kKinds[chance_.below(6)], "cause " + std::to_string(chance_.below(3)));
  }

  RelayFixture relay_;
  Random chance_;
  std::size_t first_open_ = 0;
};

TEST_CASE("random lives") {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Life(seed).live();
  }
}

}  // namespace
}  // namespace dotrelay::test
