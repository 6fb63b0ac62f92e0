// See query_endings.hpp.
#include "relay/query_endings.hpp"

#include <cassert>
#include <utility>

namespace dotrelay {
namespace {

Bytes octets_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace

void QueryEndings::finish(QueryHandle handle, const Outcome& outcome, TimePoint now) {
  if (clients_.tell(queries_.get(handle), outcome)) return drop(handle);
  retire(handle);
  queries_.get(handle).over = true;
  clients_.postpone(handle, outcome, now);
}

void QueryEndings::give_up(QueryHandle handle, TimePoint now) {
  const LastWord last = last_word(queries_.get(handle), now);
  finish(handle, last.outcome(), now);
}

Accepted QueryEndings::give_up_at_once(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  const LastWord last = last_word(query, now);
  const Accepted accepted = clients_.tell_at_once(query, last.outcome());
  drop(handle);
  return accepted;
}

QueryEndings::LastWord QueryEndings::last_word(const Query& query, TimePoint now) {
  if (query.error && !query.error->malformed) return {Outcome::Kind::error, {}};
  return {Outcome::Kind::failure, router_.explain_failure(query, now)};
}

Outcome QueryEndings::LastWord::outcome() const { return {kind, octets_of(cause)}; }

void QueryEndings::tell_postponed(TimePoint now) {
  while (const QueryHandle told = clients_.tell_postponed(now)) drop(told);
}

void QueryEndings::expire(TimePoint now) {
  while (const WaiterHandle waiter = clients_.expired(now)) fail_waiter(waiter, now);
}

/// The client's deadline has passed.
void QueryEndings::fail_waiter(WaiterHandle handle, TimePoint now) {
  const QueryHandle query_handle = clients_.slab().get(handle).query;
  const ClientQuota::Place client = clients_.slab().get(handle).place;
  Query& query = queries_.get(query_handle);
  const LastWord last = last_word(query, now);
  clients_.tell_one(handle, query, last.outcome());
  // The other clients may still get a better one from the next upstream.
  if (!query.waiters.empty()) return;
  clients_.on_left_behind(client, router_.count_left_behind(query), now);
  drop(query_handle);
}

/// Ends a query that no client waits for.
void QueryEndings::drop(QueryHandle handle) {
  assert(queries_.get(handle).waiters.empty());
  retire(handle);
  clients_.on_ended(queries_.get(handle).begun_for);
  queries_.erase(handle);
}

/// Takes the query out of all tables.
[[gnu::always_inline]] inline void QueryEndings::retire(QueryHandle handle) {
  in_flight_.unlist(handle);
  router_.forget(handle);
}

}  // namespace dotrelay
