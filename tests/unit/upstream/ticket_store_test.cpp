// The ticket store in front of a pool: real tickets of made-up sessions, none past its certificate, none of a context
// that trusts others.
#include "upstream/ticket_store.hpp"

#include "tls/made_up_ticket.hpp"

#include <doctest/doctest.h>
#include <memory>

namespace dotrelay {
namespace {

struct Context {
  explicit Context(const std::string& name) : tls({.server_name = name, .pins = {PublicKeyPin{}}}) {}
  TlsClientContext tls;
};

/// One address as two workers with a context of their own see it.
struct Pair {
  std::unique_ptr<TicketPool> pool = std::make_unique<TicketPool>();
  Context context{"upstream.test"};
  Context same{"upstream.test"};
  TicketStore first{*pool, 1, context.tls};
  TicketStore second{*pool, 2, same.tls};
};

TlsTicket ticket_until(std::int64_t usable_until, const Context& context) {
  return test::made_up_ticket(usable_until, context.tls);
}

TEST_CASE("a ticket is given out once, to whichever worker asks") {
  Pair pair;
  CHECK_FALSE(pair.first.take(100));
  pair.first.add(ticket_until(200, pair.context));
  CHECK(pair.second.take(100));
  CHECK_FALSE(pair.first.take(100));
  CHECK_FALSE(pair.second.take(100));
}

TEST_CASE("none is given out once its certificate has expired") {
  Pair pair;
  pair.first.add(ticket_until(200, pair.context));
  CHECK_FALSE(pair.first.take(200));
  CHECK_FALSE(pair.first.take(100));  // it has gone
  pair.first.add(ticket_until(200, pair.context));
  CHECK(pair.first.take(199));
}

TEST_CASE("the newest comes first, an expired one in between is passed over") {
  Pair pair;
  pair.first.add(ticket_until(300, pair.context));
  pair.second.add(ticket_until(50, pair.context));
  pair.first.add(ticket_until(400, pair.context));
  auto newest = pair.second.take(100);
  REQUIRE(newest);
  CHECK(newest->usable_at(399));
  auto oldest = pair.second.take(100);
  REQUIRE(oldest);
  CHECK_FALSE(oldest->usable_at(300));
  CHECK_FALSE(pair.second.take(100));
}

TEST_CASE("a worker that trusts others passes over the tickets of the one before") {
  Pair pair;
  const Context other("other.test");
  TicketStore changed(*pair.pool, 1, other.tls);
  pair.first.add(ticket_until(200, pair.context));
  changed.add(ticket_until(300, other));
  pair.first.add(ticket_until(200, pair.context));
  auto own = changed.take(100);
  REQUIRE(own);
  CHECK(own->usable_at(299));
}

}  // namespace
}  // namespace dotrelay
