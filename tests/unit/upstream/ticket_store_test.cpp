// The ticket store: each ticket once, the newest first, few of them, none past its certificate. The tickets are real:
// their library structures come from net/tls_internal.hpp.
#include "upstream/ticket_store.hpp"

#include "net/tls_internal.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TlsTicket ticket_until(std::int64_t usable_until) {
  auto state = std::make_unique<TlsTicket::State>();
  mbedtls_ssl_session_init(&state->session);
  state->usable_until = usable_until;
  return TlsTicket(std::move(state));
}

TEST_CASE("a ticket is given out once") {
  TicketStore store;
  CHECK_FALSE(store.take(100));
  store.add(ticket_until(200));
  CHECK(store.take(100));
  CHECK_FALSE(store.take(100));
}

TEST_CASE("none is given out once its certificate has expired") {
  TicketStore store;
  store.add(ticket_until(200));
  CHECK_FALSE(store.take(200));
  CHECK(store.size() == 0);
  store.add(ticket_until(200));
  CHECK(store.take(199));
}

TEST_CASE("the newest comes first, an expired one in between is passed over") {
  TicketStore store;
  store.add(ticket_until(300));
  store.add(ticket_until(50));
  store.add(ticket_until(400));
  auto newest = store.take(100);
  REQUIRE(newest);
  CHECK(newest->usable_at(399));
  auto oldest = store.take(100);
  REQUIRE(oldest);
  CHECK_FALSE(oldest->usable_at(300));
  CHECK_FALSE(store.take(100));
}

TEST_CASE("four are kept, the oldest go") {
  TicketStore store;
  for (int i = 0; i < 10; ++i) store.add(ticket_until(1000 + i));
  CHECK(store.size() == TicketStore::kMaxTickets);
  for (int i = 9; i >= 6; --i) {
    auto ticket = store.take(0);
    REQUIRE(ticket);
    CHECK(ticket->usable_at(999 + i));
    CHECK_FALSE(ticket->usable_at(1000 + i));
  }
  CHECK_FALSE(store.take(0));
}

}  // namespace
}  // namespace dotrelay
