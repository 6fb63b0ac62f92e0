// Where a query goes next.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

TEST_CASE("it goes to the first upstream that is connected; without one it is dialled, and the query waits") {
  PartsFixture parts({1, 1});
  const QueryHandle query = parts.begin("www.example");
  CHECK(parts.router.route(query, parts.now));
  CHECK(parts.upstreams.dials(0) == 1);
  CHECK_FALSE(parts.router.waiting().empty());
  parts.line().state = Connection::State::ready;
  parts.pool.on_ready(parts.line().handle, parts.now);
  CHECK(parts.router.route(query, parts.now));
  CHECK(parts.router.waiting().empty());
  CHECK(parts.line().sent.size() == 1);
  CHECK(parts.query(query).attempts.size() == 1);
}

TEST_CASE("no hope: an upstream that waiting does not mend is all that the query may use") {
  PartsFixture parts({1, 1});
  parts.connect({1, 0});
  parts.trouble({0, 0}, Trouble::authentication);
  const QueryHandle query = parts.begin("www.example", UpstreamMask(0));
  CHECK_FALSE(parts.router.route(query, parts.now));
  CHECK(parts.upstreams.dials(1) == 1);  // the test's own: nothing outside the eligible ones is touched
}

TEST_CASE("after the loss of a connection, one that may have gone stale with it does not count") {
  PartsFixture parts;
  const ConnectionHandle first = parts.connect();
  for (const ConnectionHandle handle : {first, parts.connect()}) parts.connection(handle).answered = true;
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  REQUIRE(parts.query(query).attempts.begin()->connection == first);
  parts.now += milliseconds(10);
  parts.pool.close(first, {CloseKind::closed_by_peer, "closed by the server"}, parts.now);
  CHECK(parts.router.route_after_loss(query, 0, CloseKind::closed_by_peer, parts.now));
  CHECK(parts.line(1).sent.empty());
  CHECK(parts.upstreams.lines.size() == 3);  // a fresh one
}

TEST_CASE("nothing is asked elsewhere while an attempt is worth waiting for") {
  PartsFixture parts({1, 1});
  parts.connect({0, 0});
  parts.connect({1, 0});
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  CHECK(parts.router.route_without(query, parts.now));
  CHECK(parts.query(query).attempts.size() == 1);
  CHECK(parts.router.route_beside(query, parts.now));  // late: the next upstream as well
  CHECK(parts.query(query).attempts.size() == 2);
  CHECK(parts.line(1).sent.size() == 1);
}

TEST_CASE("a query is repeated where it was, once") {
  PartsFixture parts;
  parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  CHECK(parts.router.repeat(query, parts.now));
  CHECK(parts.line().sent.size() == 2);
  CHECK(parts.router.repeat(query, parts.now));
  CHECK(parts.line().sent.size() == 2);
}

TEST_CASE("an upstream is asked without EDNS once for a query") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  CHECK(parts.line().sent[0].message[11] == 1);  // the OPT
  CHECK(parts.router.ask_without_edns(query, handle, false, parts.now));
  CHECK(parts.line().sent[1].message[11] == 0);
  CHECK_FALSE(parts.router.ask_without_edns(query, handle, false, parts.now));
}

TEST_CASE("a connection that takes no more: the upstream is left out, and it counts as a sending") {
  PartsFixture parts({1, 1});
  parts.connect({0, 0});
  parts.line().takes_queries = false;
  parts.connect({1, 0});
  const QueryHandle query = parts.begin("www.example");
  CHECK(parts.router.route(query, parts.now));
  CHECK(parts.line(1).sent.size() == 1);
  CHECK(parts.query(query).sendings == 2);
  CHECK_FALSE(parts.query(query).candidates.open().contains(0));
}

TEST_CASE("a query that is forgotten leaves its ID reserved, and waits nowhere") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle sent = parts.begin("www.example");
  REQUIRE(parts.router.route(sent, parts.now));
  parts.router.forget(sent);
  CHECK(parts.connection(handle).pending.live() == 0);
  CHECK(parts.connection(handle).pending.abandoned() == 1);
  CHECK_FALSE(parts.router.checks().contains(sent));
  const QueryHandle waiting = parts.begin("waits.example");
  parts.router.let_wait(waiting);
  parts.router.forget(waiting);
  CHECK(parts.router.waiting().empty());
}

TEST_CASE("a query that had no chance may go to all again, the first one first") {
  PartsFixture parts({1, 1});
  parts.connect({0, 0});
  parts.connect({1, 0});
  const QueryHandle query = parts.begin("www.example");
  parts.query(query).candidates.rule_out(0);
  CHECK(parts.router.route_anew(query, parts.now));
  CHECK(parts.line(0).sent.size() == 1);
  CHECK(parts.line(1).sent.empty());
}

TEST_CASE("a query whose path lives after all waits for that answer, and no more for another connection") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  parts.query(query).attempts.begin()->suspect = true;
  parts.router.checks().remove(query);
  parts.router.let_wait(query);
  parts.router.trust_again(query, handle, parts.now);
  CHECK_FALSE(parts.query(query).attempts.begin()->suspect);
  CHECK(parts.router.waiting().empty());
  CHECK(parts.router.checks().contains(query));
}

TEST_CASE("left behind are attempts on connections that have answered others since") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  parts.connection(handle).last_answer = parts.now;
  CHECK(parts.router.count_left_behind(parts.query(query)) == 0);
  parts.connection(handle).last_answer = parts.now + milliseconds(1);
  CHECK(parts.router.count_left_behind(parts.query(query)) == 1);
}

TEST_CASE("the log is told once that no upstream is usable, and when one is again") {
  PartsFixture parts;
  parts.trouble({0, 0});
  const QueryHandle query = parts.begin("www.example");
  CHECK(parts.router.explain_failure(parts.query(query), parts.now) == "up1 (192.0.2.1:853): connection refused");
  CHECK(contains(parts.logged(), "no upstream is usable"));
  const std::size_t size = parts.logged().size();
  static_cast<void>(parts.router.explain_failure(parts.query(query), parts.now));
  CHECK(parts.logged().size() == size);
  parts.now += seconds(2);
  parts.router.on_usable(0, parts.now);
  CHECK(contains(parts.logged(), "no upstream was usable for 2 s"));
}

TEST_CASE("an outage of some upstreams is told with their names, for others serve other names") {
  PartsFixture parts({1, 1, 1});
  parts.trouble({1, 0});
  parts.trouble({2, 0});
  const QueryHandle query = parts.begin("www.example", UpstreamMask::first(3) - UpstreamMask(0));
  static_cast<void>(parts.router.explain_failure(parts.query(query), parts.now));
  CHECK(contains(parts.logged(), "no upstream among up2, up3 is usable, clients get SERVFAIL: "));
  parts.now += seconds(2);
  parts.router.on_usable(0, parts.now);
  CHECK_FALSE(contains(parts.logged(), "answered again"));
  parts.router.on_usable(2, parts.now);
  CHECK(contains(parts.logged(), "queries are answered again; no upstream among up2, up3 was usable for 2 s"));
}

}  // namespace
}  // namespace dotrelay::test
