// See forwarder.hpp. The end of a query: what its clients are told, once each.
#include "relay/forwarder.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

/// The question as the client spelled it. Valid until the next call.
dns::Question Forwarder::question_for(const Waiter& waiter, const Query& query) {
  dns::Question question = query.key().question;
  if (!waiter.spelling) return question;
  const MutableBytes spelled = MutableBytes(spelled_name_).first(question.name.size());
  std::ranges::copy(question.name, spelled.begin());
  waiter.spelling->apply(spelled);
  question.name = spelled;
  return question;
}

void Forwarder::finish(QueryHandle handle, const dns::Response& response, Bytes message) {
  Query& query = queries_.get(handle);
  while (!query.waiters.empty()) {
    const WaiterHandle waiter = query.waiters.front();
    const Waiter& client = waiters_.get(waiter);
    const Bytes name = question_for(client, query).name;
    deliver(waiter, dns::write_relayed_answer(answer_buffer_, message, response, client.asker, name));
  }
  drop(handle);
}

/// The answer is the error that an upstream gave.
void Forwarder::finish_with_error(QueryHandle handle) {
  Query& query = queries_.get(handle);
  while (!query.waiters.empty()) {
    const WaiterHandle waiter = query.waiters.front();
    deliver(waiter, write_kept_error(query, waiters_.get(waiter)));
  }
  drop(handle);
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

void Forwarder::fail(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  while (!query.waiters.empty()) {
    counters_.add(Counter::failed);
    const WaiterHandle waiter = query.waiters.front();
    deliver(waiter, write_failure(query, waiters_.get(waiter), now));
  }
  drop(handle);
}

/// The client's deadline has passed.
void Forwarder::fail_waiter(WaiterHandle handle, TimePoint now) {
  const QueryHandle query_handle = waiters_.get(handle).query;
  Query& query = queries_.get(query_handle);
  if (query.error) {
    // The others may still get a better one from the next upstream.
    deliver(handle, write_kept_error(query, waiters_.get(handle)));
  } else {
    counters_.add(Counter::failed);
    deliver(handle, write_failure(query, waiters_.get(handle), now));
  }
  if (query.waiters.empty()) drop(query_handle);
}

/// Whoever takes a waiter out of its lists answers it, exactly once.
void Forwarder::deliver(WaiterHandle handle, Bytes answer) {
  Waiter& waiter = waiters_.get(handle);
  deadlines_.remove(handle);
  queries_.get(waiter.query).waiters.remove(handle);
  quota_.give_back(waiter.quota);
  counters_.add(Counter::answers);
  ReplyChannel* const channel = waiter.channel;
  const ClientKey client = waiter.client;
  waiters_.erase(handle);
  channel->deliver(client, answer);
}

/// Ends a query that nobody waits for; IDs whose answers may still come stay reserved on their connections.
void Forwarder::drop(QueryHandle handle) {
  Query& query = queries_.get(handle);
  assert(query.waiters.empty());
  for (const Attempt& attempt : query.attempts) {
    PooledConnection* const pooled = upstreams_.connections().find(attempt.connection);
    assert(pooled != nullptr);
    pooled->pending.abandon(attempt.id);
  }
  in_flight_.unlist(handle);
  room_.remove(handle);
  checks_.remove(handle);
  queries_.erase(handle);
}

Bytes Forwarder::write_failure(const Query& query, const Waiter& waiter, TimePoint now) {
  const std::string text = cause(query);
  if (!outage_since_ && !upstreams_.any_ready(now)) {
    outage_since_ = now;
    log_.error("no upstream is usable, clients get SERVFAIL: " + text);
  }
  return dns::write_error_answer(answer_buffer_, waiter.asker, question_for(waiter, query), dns::Rcode::servfail,
                                 dns::Explanation{dns::ExtendedError::no_reachable_authority, text});
}

/// Why the query got no answer: one clause for each upstream that had a part in it, in failover order.
std::string Forwarder::cause(const Query& query) {
  std::string text;
  text.reserve(200);  // of two upstreams or so
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
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
    if (attempt != query.attempts.end()) {
      const PooledConnection& pooled = upstreams_.connections().get(attempt->connection);
      add(upstreams_.label({i, pooled.address}), "no answer in time");
    } else if (failing != upstream.addresses.end()) {
      add(failing->label, failing->health.cause());
    } else if (dialled != upstream.addresses.end()) {
      add(dialled->label, "connection timed out");
    } else if (((query.asked | query.stale) >> i & 1) != 0 && !upstream.last_problem.empty()) {
      add({}, upstream.last_problem);
    }
  }
  return text.empty() ? "no upstream was usable in time" : text;
}

}  // namespace dotrelay
