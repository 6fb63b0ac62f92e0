// How connections begin and end, and what of it is news for the queries on them.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

CloseReason closed_by_peer() { return {CloseKind::closed_by_peer, "closed by the server"}; }

TEST_CASE("a ready connection is news of its upstream, once") {
  PartsFixture parts({1, 1});
  parts.connect({1, 0});
  REQUIRE(parts.pool.has_news());
  const ConnectionNews news = parts.pool.take_news();
  CHECK(news.usable == UpstreamMask(1));
  CHECK(news.lost.empty());
  CHECK_FALSE(parts.pool.has_news());
  CHECK(contains(parts.logged(), "up2 (192.0.2.2:853): ready, fake"));
}

TEST_CASE("what a connection leaves unanswered is news, and has no attempt on it any more") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  static_cast<void>(parts.pool.take_news());
  parts.pool.close(handle, closed_by_peer(), parts.now);
  const ConnectionNews news = parts.pool.take_news();
  REQUIRE(news.lost.size() == 1);
  CHECK(news.lost[0].queries == std::vector{query});
  CHECK(news.lost[0].upstream == 0);
  CHECK(news.lost[0].fruitless);
  CHECK_FALSE(news.lost[0].upstream_counts);
  CHECK(parts.query(query).attempts.empty());
  CHECK(parts.line().gone);
}

TEST_CASE("a dial that fails lets queries look again, and is the address's trouble") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.dial();
  parts.pool.close(handle, {CloseKind::unreachable, "connection refused"}, parts.now);
  const ConnectionNews news = parts.pool.take_news();
  CHECK(news.look_again);
  CHECK(news.usable.empty());
  CHECK(parts.set.address({0, 0}).health.trouble() == Trouble::unreachable);
  CHECK(parts.count(Counter::upstream_dial_failures) == 1);
}

TEST_CASE("an idle connection that the server closes is no trouble; one that closes on its first query is") {
  PartsFixture parts;
  const ConnectionHandle idle = parts.connect();
  parts.now += seconds(10);
  parts.pool.close(idle, closed_by_peer(), parts.now);
  CHECK_FALSE(parts.set.address({0, 0}).health.in_trouble());

  const ConnectionHandle asked = parts.connect();
  REQUIRE(parts.router.route(parts.begin("www.example"), parts.now));
  parts.pool.close(asked, closed_by_peer(), parts.now);
  CHECK(parts.set.address({0, 0}).health.trouble() == Trouble::unreachable);
}

TEST_CASE("time limits: a dial is slow, then timed out; a connection is idle for too long") {
  PartsFixture parts;
  parts.dial();
  parts.now += parts.set.address({0, 0}).slow_dial();
  CHECK(parts.pool.due(parts.now).timed_out.empty());
  CHECK(parts.pool.take_news().look_again);
  parts.now += PooledConnection::kConnectLimit;
  const ConnectionPool::Due due = parts.pool.due(parts.now);
  REQUIRE(due.timed_out.size() == 1);
  parts.pool.end_dials(due, parts.now);
  CHECK(parts.line().gone);
  CHECK(parts.set.address({0, 0}).health.trouble() == Trouble::timed_out);

  const ConnectionHandle handle = parts.connect();
  parts.now = parts.connection(handle).idle_end(parts.set.address({0, 0}).idle_close.limit());
  parts.pool.end_idle(parts.pool.due(parts.now), parts.now);
  CHECK(parts.line().gone);
}

TEST_CASE("of several dials to an address, those that need not become ready are dropped when one is") {
  PartsFixture parts;
  parts.dial();
  parts.dial();
  parts.connect();
  CHECK(parts.line(0).gone);
  CHECK_FALSE(parts.line(2).gone);
}

TEST_CASE("all are dropped: what is left unanswered is given back, and nothing of it is news") {
  PartsFixture parts({1, 1});
  parts.connect({0, 0});
  const ConnectionHandle second = parts.connect({1, 0});
  const QueryHandle once = parts.begin("once.example");
  REQUIRE(parts.router.route(once, parts.now));
  static_cast<void>(parts.pool.take_news());
  parts.line(0).route_changed = true;
  parts.upstreams.ways[0] = 7;
  const ConnectionPool::Dropped dropped = parts.pool.drop_all(false, "the network has changed", parts.now);
  CHECK(dropped.unanswered == std::vector{once});
  CHECK(dropped.is_other_network);
  CHECK_FALSE(parts.pool.has_news());
  CHECK(parts.line(0).gone);
  CHECK(parts.set.connections().find(second) != nullptr);  // its way is as before
  CHECK(contains(parts.logged(), "the network has changed: 1 upstream connections dropped"));
}

TEST_CASE("what is dropped under a query is told although an attempt elsewhere is left") {
  PartsFixture parts({1, 1});
  parts.connect({0, 0});
  parts.connect({1, 0});
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  REQUIRE(parts.router.route_beside(query, parts.now));
  parts.line(0).route_changed = true;
  const ConnectionPool::Dropped dropped = parts.pool.drop_all(false, "the network has changed", parts.now);
  CHECK(dropped.unanswered == std::vector{query});
  CHECK_FALSE(dropped.is_other_network);
  REQUIRE(parts.query(query).attempts.size() == 1);
  CHECK(parts.query(query).attempts.begin()->upstream == 1);
}

TEST_CASE("a query that was on the connection twice is lost once") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  REQUIRE(parts.router.repeat(query, parts.now));
  REQUIRE(parts.query(query).attempts.size() == 2);
  parts.pool.close(handle, closed_by_peer(), parts.now);
  const ConnectionNews news = parts.pool.take_news();
  REQUIRE(news.lost.size() == 1);
  CHECK(news.lost[0].queries == std::vector{query});
  CHECK(parts.query(query).attempts.empty());
}

TEST_CASE("a connection that is refused beside one that works is no trouble of the address") {
  PartsFixture parts;
  parts.connect();
  parts.pool.close(parts.dial(), {CloseKind::unreachable, "connection refused"}, parts.now);
  CHECK_FALSE(parts.set.address({0, 0}).health.in_trouble());
  CHECK(parts.set.address({0, 0}).no_more_until == parts.now + Health::kMaxBackOff);
}

TEST_CASE("the end of the idle time that the server grants: renewed if a query is expected, and closed after that") {
  PartsFixture parts;
  UpstreamAddress& address = parts.set.address({0, 0});
  for (int i = 0; i < 2; ++i) address.idle_close.on_server_closed(seconds(2));
  const ConnectionHandle handle = parts.connect();
  const auto end_idle = [&] {
    parts.now = parts.connection(handle).idle_end(address.idle_close.limit());
    parts.pool.end_idle(parts.pool.due(parts.now), parts.now);
  };
  SUBCASE("expected") {
    parts.set[0].on_query(parts.now - seconds(1));
    parts.set[0].on_query(parts.now);
    end_idle();
    CHECK_FALSE(parts.line(0).gone);
    REQUIRE(parts.upstreams.lines.size() == 2);
    parts.line().state = Connection::State::ready;
    parts.pool.on_ready(parts.line().handle, parts.now);
    CHECK(parts.line(0).gone);
    CHECK_FALSE(parts.line(1).gone);
  }
  SUBCASE("not expected") {
    end_idle();
    CHECK(parts.line(0).gone);
    CHECK(parts.upstreams.lines.size() == 1);
  }
}

TEST_CASE("dials from before a time are kept when those since are dropped") {
  PartsFixture parts;
  parts.dial();
  parts.now += seconds(1);
  const TimePoint since = parts.now;
  parts.dial();
  parts.pool.drop_dials({0, 0}, since, parts.now);
  CHECK_FALSE(parts.line(0).gone);
  CHECK(parts.line(1).gone);
}

TEST_CASE("a stalled handshake: another dial beside it, with smaller segments") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.dial();
  parts.now += SegmentLimit::kLook;
  parts.line().handshake_silence = SegmentLimit::kStall;
  CHECK(parts.connection(handle).handshake_look_at <= parts.now);
  parts.pool.end_dials(parts.pool.due(parts.now), parts.now);
  REQUIRE(parts.upstreams.lines.size() == 2);
  CHECK(parts.line(0).segment_limit == 0);
  CHECK(parts.line(1).segment_limit > 0);
  CHECK(parts.count(Counter::upstream_stalled_handshakes) == 1);
}

}  // namespace
}  // namespace dotrelay::test
