// The words for a query without an answer: one clause for each eligible upstream that had a part in it.
#include "relay/failure_cause.hpp"

#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

std::string cause(PartsFixture& parts, QueryHandle query) {
  return failure_cause(parts.query(query), parts.set, parts.now);
}

TEST_CASE("a clause for each upstream, in failover order, and none for one that is not eligible") {
  PartsFixture parts({1, 1, 1});
  parts.trouble({2, 0});
  parts.connect({1, 0});
  const QueryHandle query = parts.begin("www.example", UpstreamMask::first(3) - UpstreamMask(0));
  REQUIRE(parts.router.route(query, parts.now));
  CHECK(cause(parts, query) == "up2 (192.0.2.2:853): no answer in time; up3 (192.0.2.3:853): connection refused");
  const QueryHandle narrow = parts.begin("narrow.example", UpstreamMask(2));
  CHECK(cause(parts, narrow) == "up3 (192.0.2.3:853): connection refused");
}

TEST_CASE("the clauses are in the order of the query's upstreams") {
  PartsFixture parts({1, 1, 1});
  for (const std::size_t upstream : {0, 1, 2}) parts.trouble({upstream, 0});
  UpstreamOrder order;
  order.add(2);
  order.add(0);
  CHECK(cause(parts, parts.begin("www.example", order)) ==
        "up3 (192.0.2.3:853): connection refused; up1 (192.0.2.1:853): connection refused");
}

TEST_CASE("what is known of dials: slow ones, and handshakes that stall for large packets") {
  PartsFixture parts;
  parts.dial();
  const QueryHandle query = parts.begin("www.example");
  CHECK(cause(parts, query) == "up1 (192.0.2.1:853): connection timed out");
  parts.set.address({0, 0}).segments.on_stall(0, parts.now);
  CHECK(cause(parts, query) == "up1 (192.0.2.1:853): " + std::string(kLargePacketsLost));
}

TEST_CASE("an answer that could not be read is named") {
  PartsFixture parts;
  const QueryHandle query = parts.begin("www.example");
  parts.query(query).error = std::make_unique<ErrorAnswer>(ErrorAnswer{dns::Rcode::servfail, {0, 0}, {}, true});
  CHECK(cause(parts, query) == "up1 (192.0.2.1:853): " + std::string(kMalformedAnswer));
}

TEST_CASE("a connection that ended before the answer is told to the query that was there, and to no other") {
  PartsFixture parts;
  const ConnectionHandle handle = parts.connect();
  parts.connection(handle).answered = true;
  const QueryHandle query = parts.begin("www.example");
  REQUIRE(parts.router.route(query, parts.now));
  parts.pool.close(handle, {CloseKind::closed_by_peer, "closed by the server"}, parts.now);
  parts.query(query).candidates.on_lost(0, false, parts.now);
  CHECK(cause(parts, query) == "up1 (192.0.2.1:853): connection closed before the answer");
  CHECK(cause(parts, parts.begin("other.example")) == "no upstream was usable in time");
}

TEST_CASE("the words of a peer are printable") {
  PartsFixture parts;
  Health& health = parts.set.address({0, 0}).health;
  health.on_trouble(Trouble::tls, "bell \a and \x1b[31m", health.epoch(), parts.now, parts.random);
  for (const char octet : cause(parts, parts.begin("www.example"))) CHECK(static_cast<unsigned char>(octet) >= 32);
}

TEST_CASE("nothing is known") {
  PartsFixture parts;
  CHECK(cause(parts, parts.begin("www.example")) == "no upstream was usable in time");
}

}  // namespace
}  // namespace dotrelay::test
