// See query_endings.hpp.
#include "relay/query_endings.hpp"

#include <cassert>
#include <utility>

namespace dotrelay {
namespace {

Bytes octets_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

Outcome outcome_of(const ReadyAnswer& ready) {
  return {ready.stale() ? Outcome::Kind::stale : Outcome::Kind::answer, ready.message, &ready.response};
}

}  // namespace

void QueryEndings::finish(QueryHandle handle, const Outcome& outcome, TimePoint now) {
  if (clients_.tell(queries_.get(handle), outcome)) return drop(handle);
  retire(handle);
  queries_.get(handle).over = true;
  clients_.postpone(handle, outcome, now);
}

void QueryEndings::give_up(QueryHandle handle, TimePoint now) {
  const Query& query = queries_.get(handle);
  const LastWord last = last_word(query, now);
  if (last.kind == Outcome::Kind::error) cached_.keep_failure(query, now);
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
  if (query.error && !query.error->malformed) return {.kind = Outcome::Kind::error};
  if (const ReadyAnswer* const ready = cached_.find(query.key(), query.hashes.cache, now)) {
    return {.kind = Outcome::Kind::stale, .ready = ready};
  }
  return {.kind = Outcome::Kind::failure, .cause = router_.explain_failure(query, now)};
}

Outcome QueryEndings::LastWord::outcome() const {
  return ready != nullptr ? outcome_of(*ready) : Outcome{kind, octets_of(cause)};
}

void QueryEndings::tell_postponed(TimePoint now) {
  while (const QueryHandle told = clients_.tell_postponed(now)) drop(told);
}

void QueryEndings::expire(TimePoint now) {
  while (const WaiterHandle waiter = clients_.take_stale_due(now)) tell_stale(waiter, now);
  while (const WaiterHandle waiter = clients_.expired(now)) fail_waiter(waiter, now);
}

/// A fresh answer is late for the client. The query goes on, so that one is there for the next.
void QueryEndings::tell_stale(WaiterHandle waiter, TimePoint now) {
  const QueryHandle handle = clients_.slab().get(waiter).query;
  Query& query = queries_.get(handle);
  const ReadyAnswer* const ready = cached_.find(query.key(), query.hashes.cache, now);
  if (ready == nullptr) return;
  // Another worker had a fresh one meanwhile.
  if (!ready->stale()) return finish(handle, outcome_of(*ready), now);
  const bool last = query.waiters.size() == 1;
  last ? clients_.tell_and_go_on(waiter, query, outcome_of(*ready), now)
       : clients_.tell_one(waiter, query, outcome_of(*ready));
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
