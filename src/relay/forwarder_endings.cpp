// See forwarder.hpp. The end of a query: what its clients are told, once each.
#include "relay/forwarder.hpp"

#include "base/printable.hpp"
#include "relay/blocked_network.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace dotrelay {
namespace {

Bytes octets_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

/// What keeps the relay from all these upstreams, for the front of a cause; empty when it is not the network.
std::string words_of_network(UpstreamSet& upstreams, UpstreamMask among) {
  std::vector<AddressTrouble> troubles;
  std::deque<std::string> causes;
  std::optional<std::uint16_t> port;
  bool same_port = true;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    if (!among.contains(i)) continue;
    const std::size_t before = troubles.size();
    for (const UpstreamAddress& address : upstreams[i].addresses) {
      if (!address.health.in_trouble()) continue;
      troubles.push_back({provider_of(upstreams[i].config->tls_name), address.health.trouble(),
                          causes.emplace_back(address.health.cause())});
    }
    if (troubles.size() == before) return {};
    for (const Endpoint& endpoint : upstreams[i].config->addresses) {
      same_port = same_port && endpoint.port == port.value_or(endpoint.port);
      port = endpoint.port;
    }
  }
  if (!network_blocks(troubles)) return {};
  return "this network blocks or intercepts DNS over TLS" + (same_port ? " (port " + std::to_string(*port) + ")" : "") +
         ": ";
}

}  // namespace

/// The query has come to its end: its clients are told.
void Forwarder::finish(QueryHandle handle, const Outcome& outcome) {
  if (clients_.tell(queries_.get(handle), outcome)) return drop(handle);
  // The rest of them are told in the next turns.
  retire(handle);
  Query& query = queries_.get(handle);
  query.over = true;
  query.attempts.erase_if([](const Attempt&) { return true; });
  clients_.postpone(handle, outcome, last_seen_);
}

void Forwarder::give_up(QueryHandle handle, TimePoint now) {
  const LastWord last = last_word(queries_.get(handle), now);
  finish(handle, last.outcome());
}

/// The same for a query that has just begun: its only client learns it from accept().
Accepted Forwarder::give_up_at_once(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  const LastWord last = last_word(query, now);
  const Accepted accepted = clients_.tell_at_once(query, last.outcome());
  drop(handle);
  return accepted;
}

/// What is left for a client when no good answer comes: the error that an upstream gave, or the reason why there is
/// none.
Forwarder::LastWord Forwarder::last_word(const Query& query, TimePoint now) {
  if (query.error && !query.error->malformed) return {Outcome::Kind::error, {}};
  LastWord last{Outcome::Kind::failure, cause(query)};
  note_outage(query.candidates.eligible(), last.cause, now);
  return last;
}

Outcome Forwarder::LastWord::outcome() const { return {kind, octets_of(cause)}; }

/// One portion of what was left for later.
void Forwarder::tell_postponed(TimePoint now) {
  while (const QueryHandle told = clients_.tell_postponed(now)) drop(told);
}

/// The client's deadline has passed.
void Forwarder::fail_waiter(WaiterHandle handle, TimePoint now) {
  const QueryHandle query_handle = clients_.slab().get(handle).query;
  const ClientQuota::Place client = clients_.slab().get(handle).place;
  Query& query = queries_.get(query_handle);
  const LastWord last = last_word(query, now);
  clients_.tell_one(handle, query, last.outcome());
  // The other clients may still get a better one from the next upstream.
  if (!query.waiters.empty()) return;
  const auto has_answered_others = [&](const Attempt& attempt) {
    return upstreams_.connections().get(attempt.connection).last_answer > attempt.sent_at;
  };
  const auto left_behind = std::ranges::count_if(query.attempts, has_answered_others);
  clients_.on_left_behind(client, static_cast<std::size_t>(left_behind), now);
  drop(query_handle);
}

/// Ends a query that nobody waits for.
void Forwarder::drop(QueryHandle handle) {
  assert(queries_.get(handle).waiters.empty());
  retire(handle);
  clients_.on_ended(queries_.get(handle).begun_for);
  queries_.erase(handle);
}

/// Takes the query out of all tables; IDs whose answers may still come stay reserved on their connections.
[[gnu::always_inline]] inline void Forwarder::retire(QueryHandle handle) {
  Query& query = queries_.get(handle);
  for (const Attempt& attempt : query.attempts) {
    PooledConnection* const pooled = upstreams_.connections().find(attempt.connection);
    assert(pooled != nullptr);
    pooled->pending.abandon(attempt.id);
  }
  if (std::exchange(query.holds_hedge, false)) hedge_budget_.give_back();
  in_flight_.unlist(handle);
  waiting_.remove(handle);
  checks_.remove(handle);
}

void Forwarder::shrink() {
  clients_.shrink();
  queries_.shrink();
  in_flight_.shrink();
}

/// The queries of `eligible` get no answer.
void Forwarder::note_outage(UpstreamMask eligible, std::string_view cause, TimePoint now) {
  if (!upstreams_.any_usable(eligible, now) && outages_.of(eligible).tell(now))
    log_.error("no upstream is usable, clients get SERVFAIL: " + std::string(cause));
}

/// Why the query got no answer: one clause for each upstream that had a part in it, in failover order.
std::string Forwarder::cause(const Query& query) {
  std::string text;
  text.reserve(200);  // of two upstreams or so
  const UpstreamMask eligible = query.candidates.eligible();
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (!eligible.contains(i)) continue;
    Upstream& upstream = upstreams_[i];
    const auto attempt =
        std::ranges::find_if(query.attempts, [i](const Attempt& sent) { return sent.upstream == i && !sent.suspect; });
    const auto failing =
        std::ranges::find_if(upstream.addresses, [](const auto& address) { return address.health.in_trouble(); });
    const auto dialled =
        std::ranges::find_if(upstream.addresses, [](const auto& address) { return address.dials > 0; });
    const auto add = [&](std::string_view who, std::string_view what) {
      text.append(text.empty() ? "" : "; ").append(who).append(who.empty() ? "" : ": ").append(what);
    };
    if (query.error && query.error->malformed && query.error->from.upstream == i) {
      add(upstreams_.label(query.error->from), kMalformedAnswer);
    } else if (attempt != query.attempts.end()) {
      const PooledConnection& pooled = upstreams_.connections().get(attempt->connection);
      add(upstreams_.label({i, pooled.address}), "no answer in time");
    } else if (failing != upstream.addresses.end()) {
      add(failing->label, failing->health.cause());
    } else if (dialled != upstream.addresses.end()) {
      add(dialled->label, dialled->segments.suspected(last_seen_) ? kLargePacketsLost : "connection timed out");
    } else if ((query.candidates.asked().contains(i) || query.candidates.is_stale(i)) &&
               !upstream.last_problem.empty()) {
      add({}, upstream.last_problem);
    }
  }
  if (text.empty()) return "no upstream was usable in time";
  return printable(eligible.size() > 1 ? words_of_network(upstreams_, eligible) + text : text);
}

}  // namespace dotrelay
