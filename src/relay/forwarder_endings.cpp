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
std::string_view text_of(Bytes octets) { return {reinterpret_cast<const char*>(octets.data()), octets.size()}; }

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

/// The question as the client spelled it. Valid until the next call.
dns::Question Forwarder::question_for(const Waiter& waiter, const Query& query) {
  dns::Question question = query.question();
  if (!waiter.spelling) return question;
  const MutableBytes spelled = MutableBytes(spelled_name_).first(question.name.size());
  std::ranges::copy(question.name, spelled.begin());
  waiter.spelling->apply(spelled);
  question.name = spelled;
  return question;
}

/// The query has come to its end: its clients are told.
void Forwarder::finish(QueryHandle handle, const Outcome& outcome) {
  tell_some_clients(queries_.get(handle), outcome) ? drop(handle) : postpone(handle, outcome);
}

void Forwarder::give_up(QueryHandle handle, TimePoint now) {
  const LastWord last = last_word(queries_.get(handle), now);
  finish(handle, last.outcome());
}

/// The same for a query that has just begun: its only client learns it from accept().
Accepted Forwarder::give_up_at_once(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  const WaiterHandle waiter = query.waiters.front();
  const LastWord last = last_word(query, now);
  const Bytes answer = write_outcome(query, waiters_.get(waiter), last.outcome());
  release(waiter);
  drop(handle);
  return answered(answer);
}

/// What is left for a client when no good answer comes: the error that an upstream gave, or the reason why there is
/// none.
Forwarder::LastWord Forwarder::last_word(const Query& query, TimePoint now) {
  if (query.error && !query.error->malformed) return {Outcome::Kind::error, {}};
  LastWord last{Outcome::Kind::failure, cause(query)};
  note_outage(query.candidates.eligible(), last.cause, now);
  return last;
}

Forwarder::Outcome Forwarder::LastWord::outcome() const { return {kind, octets_of(cause)}; }

/// False when some are left for the next turn. One is always told: a query that one client asked does not wait behind
/// those that thousands did.
[[gnu::always_inline]] inline bool Forwarder::tell_some_clients(Query& query, const Outcome& outcome) {
  for (bool told = false; !query.waiters.empty(); told = true) {
    if (told && may_deliver_ <= 0) return false;
    const WaiterHandle waiter = query.waiters.front();
    const Bytes answer = write_outcome(query, waiters_.get(waiter), outcome);
    may_deliver_ -= static_cast<std::ptrdiff_t>(answer.size());
    deliver(waiter, answer);
  }
  return true;
}

/// The query is over, and no deadline counts any more: its clients are told in the next turns.
void Forwarder::postpone(QueryHandle handle, const Outcome& outcome) {
  retire(handle);
  Query& query = queries_.get(handle);
  query.over = true;
  query.attempts.erase_if([](const Attempt&) { return true; });
  const auto& waiters = query.waiters;
  for (WaiterHandle waiter = waiters.front(); waiter; waiter = waiters.next(waiter)) deadlines_.remove(waiter);
  portion_due_ = std::min(portion_due_, last_seen_ + kPortionInterval);
  postponed_.push_back({handle, outcome.kind, {outcome.octets.begin(), outcome.octets.end()}});
}

/// One portion: those that are not done with it go to the end.
void Forwarder::tell_postponed(TimePoint now) {
  while (!postponed_.empty() && may_deliver_ > 0) {
    Postponed next = std::move(postponed_.front());
    postponed_.pop_front();
    const auto response = next.kind == Outcome::Kind::answer ? dns::parse_response(next.octets) : std::nullopt;
    const Outcome outcome{next.kind, next.octets, response ? &*response : nullptr};
    if (tell_some_clients(queries_.get(next.query), outcome)) {
      drop(next.query);
    } else {
      postponed_.push_back(std::move(next));
    }
  }
  portion_due_ = postponed_.empty() ? kNever : now + kPortionInterval;
}

[[gnu::always_inline]] inline Bytes Forwarder::write_outcome(const Query& query, const Waiter& waiter,
                                                             const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::answer:
      return dns::write_relayed_answer(answer_buffer_, outcome.octets, *outcome.response, waiter.asker,
                                       question_for(waiter, query).name);
    case Outcome::Kind::error:
      return write_kept_error(query, waiter);
    case Outcome::Kind::failure:
      break;
  }
  counters_.add(Counter::failed);
  return dns::write_error_answer(answer_buffer_, waiter.asker, question_for(waiter, query), dns::Rcode::servfail,
                                 dns::Explanation{dns::ExtendedError::no_reachable_authority, text_of(outcome.octets)});
}

/// As it came, or built anew when it had no question section.
Bytes Forwarder::write_kept_error(const Query& query, const Waiter& waiter) {
  const ErrorAnswer& error = *query.error;
  const dns::Question question = question_for(waiter, query);
  if (const auto response = dns::parse_response(error.message); response && response->question) {
    return dns::write_relayed_answer(answer_buffer_, error.message, *response, waiter.asker, question.name);
  }
  return dns::write_error_answer(answer_buffer_, waiter.asker, question, error.rcode, std::nullopt);
}

/// The client's deadline has passed.
void Forwarder::fail_waiter(WaiterHandle handle, TimePoint now) {
  const QueryHandle query_handle = waiters_.get(handle).query;
  const ClientQuota::Place client = waiters_.get(handle).place;
  Query& query = queries_.get(query_handle);
  const LastWord last = last_word(query, now);
  deliver(handle, write_outcome(query, waiters_.get(handle), last.outcome()));
  // The other clients may still get a better one from the next upstream.
  if (!query.waiters.empty()) return;
  const auto has_answered_others = [&](const Attempt& attempt) {
    return upstreams_.connections().get(attempt.connection).last_answer > attempt.sent_at;
  };
  const auto left_behind = std::ranges::count_if(query.attempts, has_answered_others);
  unanswered_.add(client, static_cast<std::size_t>(left_behind), now);
  drop(query_handle);
}

void Forwarder::deliver(WaiterHandle handle, Bytes answer) {
  ReplyChannel* const channel = waiters_.get(handle).channel;
  const ClientKey client = waiters_.get(handle).client;
  release(handle);
  note_answer_given();
  channel->deliver(client, answer);
}

/// Takes a waiter out of its lists. The caller answers it.
void Forwarder::release(WaiterHandle handle) {
  const Waiter& waiter = waiters_.get(handle);
  deadlines_.remove(handle);
  queries_.get(waiter.query).waiters.remove(handle);
  quota_.waits_no_more(waiter.place);
  memory_.give_back(kWaiterBytes);
  waiters_.erase(handle);
}

/// The answer goes back from accept().
Accepted Forwarder::answered(Bytes answer) {
  note_answer_given();
  return {Accepted::Kind::answered, answer};
}

/// Each answer to a client is counted here, whatever its way.
void Forwarder::note_answer_given() { counters_.add(Counter::answers); }

/// Ends a query that nobody waits for.
void Forwarder::drop(QueryHandle handle) {
  assert(queries_.get(handle).waiters.empty());
  retire(handle);
  quota_.ends(queries_.get(handle).begun_for);
  queries_.erase(handle);
  memory_.give_back(kQueryBytes);
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
  if (query.in_room.linked) room_.remove(handle);
  checks_.remove(handle);
}

void Forwarder::shrink() {
  waiters_.shrink();
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
