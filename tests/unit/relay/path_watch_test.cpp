// Verdicts on the path of a connection: suspected, cleared, given up.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

using Kind = PathWatch::Verdict::Kind;

struct Watched : PartsFixture {
  Watched() : PartsFixture({1}) {
    handle = connect();
    query_handle = begin("www.example");
    REQUIRE(router.route(query_handle, now));
    now += PooledConnection::kFirstLook;
  }
  Kind look() { return path_watch.look(handle, now).kind; }
  Trouble trouble_of_address() { return set.address({0, 0}).health.trouble(); }

  ConnectionHandle handle;
  QueryHandle query_handle;
};

TEST_CASE("a living path: nothing changes, and it is looked at again when the next query leaves") {
  Watched parts;
  CHECK(parts.look() == Kind::unchanged);
  CHECK(parts.connection(parts.handle).look_at == kNever);
  CHECK(parts.trouble_of_address() == Trouble::none);
}

TEST_CASE("octets without acknowledgement: suspected, a fresh connection is dialled, idle ones are doubted") {
  Watched parts;
  const ConnectionHandle idle = parts.connect();
  parts.line(0).silent = true;
  parts.now += milliseconds(200);
  CHECK(parts.look() == Kind::suspected);
  CHECK(parts.connection(parts.handle).standing(parts.now) == Standing::suspect);
  CHECK(parts.connection(idle).doubted);
  CHECK(parts.trouble_of_address() == Trouble::silent_path);
  CHECK(parts.upstreams.lines.size() == 3);
  CHECK(parts.count(Counter::upstream_suspected) == 1);
}

TEST_CASE("a late acknowledgement clears it: all counts as before") {
  Watched parts;
  parts.line().silent = true;
  const TimePoint since = parts.now;
  CHECK(parts.look() == Kind::suspected);
  parts.line(0).silent = false;
  parts.now += milliseconds(150);
  const PathWatch::Verdict verdict = parts.path_watch.look(parts.handle, parts.now);
  CHECK(verdict.kind == Kind::cleared);
  CHECK(verdict.since == since);
  CHECK(parts.trouble_of_address() == Trouble::none);
  CHECK(parts.connection(parts.handle).rules(parts.now).usable);
}

TEST_CASE("octets that come clear it, whatever TCP says") {
  Watched parts;
  parts.line().silent = true;
  CHECK(parts.look() == Kind::suspected);
  CHECK(parts.path_watch.look_at_living(parts.handle, parts.now).kind == Kind::cleared);
}

TEST_CASE("it is given up when another connection has answered what left after the suspicion, and not too soon") {
  Watched parts;
  parts.line().silent = true;
  CHECK(parts.look() == Kind::suspected);
  const TimePoint suspected = parts.now;
  parts.now += Suspicion::kKept;
  CHECK(parts.look() == Kind::unchanged);  // all paths may be as slow
  parts.experience.on_response(suspected - milliseconds(1));
  CHECK(parts.look() == Kind::unchanged);
  parts.experience.on_response(suspected);
  static_cast<void>(parts.pool.take_news());
  CHECK(parts.look() == Kind::given_up);
  CHECK(parts.set.connections().find(parts.handle) == nullptr);
  const ConnectionNews news = parts.pool.take_news();
  REQUIRE(news.lost.size() == 1);
  CHECK(news.lost[0].queries == std::vector{parts.query_handle});
  CHECK(news.lost[0].upstream_counts);
}

TEST_CASE("idle connections that were doubted count again when it is cleared, and go when it is given up") {
  Watched parts;
  const ConnectionHandle idle = parts.connect();
  parts.line(0).silent = true;
  REQUIRE(parts.look() == Kind::suspected);
  REQUIRE(parts.connection(idle).doubted);
  const ConnectionHandle since = parts.connect();
  SUBCASE("cleared") {
    parts.line(0).silent = false;
    REQUIRE(parts.look() == Kind::cleared);
    CHECK_FALSE(parts.connection(idle).doubted);
    CHECK(parts.connection(idle).standing(parts.now) == Standing::good);
  }
  SUBCASE("given up") {
    parts.experience.on_response(parts.now);
    parts.now += Suspicion::kKept;
    REQUIRE(parts.look() == Kind::given_up);
    CHECK(parts.set.connections().find(idle) == nullptr);
    CHECK(parts.set.connections().find(since) != nullptr);
  }
}

TEST_CASE("a peer that acknowledges late is given more time from then on") {
  Watched parts;
  parts.line().late = milliseconds(200);
  parts.look();
  CHECK(contains(parts.logged(), "acknowledges late"));
  parts.look();
  CHECK(parts.line().granted >= milliseconds(200));
}

}  // namespace
}  // namespace dotrelay::test
