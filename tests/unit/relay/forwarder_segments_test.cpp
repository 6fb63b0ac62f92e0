// Paths on which large packets vanish: a handshake that does not go on gets the company of one with smaller segments.
#include "relay_fixture.hpp"

#include <set>

namespace dotrelay::test {
namespace {

/// The path lets packets of up to `segment` octets through: handshakes with more do not go on.
void live_with(RelayFixture& relay, std::size_t segment, Duration duration) {
  for (const TimePoint until = relay.now + duration; relay.now < until;) {
    relay.advance(milliseconds(50));
    for (std::size_t i = 0; i < relay.upstreams.lines.size(); ++i) {
      Line& line = relay.line(i);
      if (line.gone || line.state != Connection::State::connecting) continue;
      const std::size_t limit = line.segment_limit == 0 ? 1460 : line.segment_limit;
      if (limit <= segment) {
        relay.ready(i);
      } else {
        line.handshake_silence += milliseconds(50);
      }
    }
  }
}

/// Of all dials from number `first` on.
std::set<std::uint16_t> limits(RelayFixture& relay, std::size_t first = 0) {
  std::set<std::uint16_t> all;
  for (std::size_t i = first; i < relay.upstreams.lines.size(); ++i) all.insert(relay.line(i).segment_limit);
  return all;
}

/// The latest connection that was made.
std::size_t made(RelayFixture& relay) {
  std::size_t latest = relay.upstreams.lines.size() - 1;
  while (latest > 0 && relay.line(latest).state != Connection::State::ready) --latest;
  return latest;
}

TEST_CASE("a stalled handshake is joined by smaller ones, and what works is remembered for an hour") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  live_with(relay, 0, milliseconds(950));
  CHECK(limits(relay) == std::set<std::uint16_t>{0});
  std::uint16_t limit = 0;
  SUBCASE("packets of 1280 octets get through") {
    limit = SegmentLimit::kSmall;
    live_with(relay, limit, milliseconds(300));
    CHECK(limits(relay) == std::set<std::uint16_t>{0, 1220});
    CHECK(relay.count(Counter::upstream_stalled_handshakes) == 1);
  }
  SUBCASE("packets of 576 octets get through") {
    limit = SegmentLimit::kSmallest;
    live_with(relay, limit, milliseconds(1500));
    CHECK(limits(relay) == std::set<std::uint16_t>{0, 536, 1220});
    CHECK(relay.count(Counter::upstream_stalled_handshakes) == 2);
  }
  const std::size_t first = made(relay);
  REQUIRE(relay.line(first).segment_limit == limit);
  REQUIRE(relay.line(first).sent.size() == 1);
  relay.answer(first);
  CHECK(relay.rcode(client) == 0);
  CHECK(contains(relay.logged(),
                 "large packets are lost on this path (MTU?); for an hour its connections use segments of "
                 "at most " +
                     std::to_string(limit)));
  CHECK(relay.line(0).gone);

  // The next connections, of this worker and of others.
  relay.advance(std::chrono::minutes(59));
  std::size_t before = relay.upstreams.lines.size();
  relay.ask("second.example");
  REQUIRE(relay.upstreams.lines.size() == before + 1);
  CHECK(relay.line(before).segment_limit == limit);
  CHECK(SegmentLimit(relay.health[0]).get(relay.now) == limit);
  relay.ready(before);
  relay.answer(before);

  // An hour later the path is tried as it seems to be, and then what helped before.
  relay.advance(std::chrono::minutes(2));
  before = relay.upstreams.lines.size();
  relay.ask("third.example");
  CHECK(relay.line(before).segment_limit == 0);
  live_with(relay, limit, milliseconds(1300));
  CHECK(limits(relay, before) == std::set<std::uint16_t>{0, limit});
  CHECK(relay.line(made(relay)).segment_limit == limit);
}

TEST_CASE("a server that is slow in its handshakes is no lossy path") {
  RelayFixture relay;
  relay.ask("www.example");
  live_with(relay, 0, milliseconds(1300));
  CHECK(relay.count(Counter::upstream_stalled_handshakes) == 1);
  relay.ready(0);
  relay.answer(0);
  CHECK_FALSE(contains(relay.logged(), "large packets"));
  relay.advance(std::chrono::minutes(1));
  relay.ask("second.example");
  CHECK(relay.upstreams.lines.back().segment_limit == 0);
}

TEST_CASE("a path that does not answer at all gets no further dials for it") {
  RelayFixture relay;
  relay.ask("www.example");
  relay.advance(milliseconds(2900));
  CHECK(relay.count(Counter::upstream_stalled_handshakes) == 0);
  CHECK(limits(relay) == std::set<std::uint16_t>{0});
}

TEST_CASE("a server that never answers in the handshake costs two dials more, and the cause says what is suspected") {
  RelayFixture relay;
  const auto client = relay.ask("www.example");
  live_with(relay, 0, milliseconds(4000));
  CHECK(relay.count(Counter::upstream_stalled_handshakes) == 2);
  REQUIRE(relay.answered(client));
  CHECK(contains(relay.explanation(client), "up1 (192.0.2.1:853): "));
  CHECK_FALSE(contains(relay.logged(), "large packets are lost on this path (MTU?); for an hour"));
}

TEST_CASE("a client whose deadline comes first hears what is suspected") {
  RelayFixture relay;
  relay.config.relay.deadline = milliseconds(1500);
  const auto client = relay.ask("www.example");
  live_with(relay, SegmentLimit::kSmallest, milliseconds(1600));
  CHECK(relay.explanation(client) == "22 up1 (192.0.2.1:853): large packets are lost on this path (MTU?)");
}

}  // namespace
}  // namespace dotrelay::test
