// See waiting_clients.hpp.
#include "relay/waiting_clients.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace dotrelay {

static_assert(sizeof(Query) <= 3 * WaitingClients::kQueryBytes / 4 &&
              sizeof(Waiter) <= 2 * WaitingClients::kWaiterBytes / 3);

WaitingClients::WaitingClients(const Environment& environment, Slab<Query>& queries, HashKey hash_key)
    : config_(environment.config.relay),
      queries_(queries),
      counters_(environment.counters),
      memory_(environment.memory),
      deadlines_(waiters_),
      may_have_stale_(waiters_),
      quota_(hash_key),
      error_limit_(hash_key),
      answer_buffer_(dns::kResponseBuffer) {}

Accepted WaitingClients::answer_locally(const Incoming& incoming, const dns::QueryView& query,
                                        const dns::LocalAnswer& answer) {
  counters_.add(Counter::answered_locally);
  return answered(
      dns::write_local_response(answer_buffer_, dns::Asker(query, incoming.transport), *query.question, answer));
}

Accepted WaitingClients::answer_from_cache(const Incoming& incoming, const dns::QueryView& query,
                                           const ReadyAnswer& answer) {
  counters_.add(answer.stale() ? Counter::cache_stale : Counter::cache_hits);
  const dns::Asker asker(query, incoming.transport);
  const auto write = answer.stale() ? dns::write_stale_response : dns::write_relayed_response;
  return answered(write(answer_buffer_, answer.message, answer.response, asker, query.question->name));
}

Accepted WaitingClients::reject(const Incoming& incoming, const dns::QueryView& query, dns::Rcode rcode,
                                std::optional<dns::ExtendedError> reason, TimePoint now) {
  counters_.add(Counter::rejected);
  if (!incoming.transport.tcp && !error_limit_.take(incoming.source, now)) {
    counters_.add(Counter::errors_withheld);
    return {};
  }
  return answer_with_error(incoming, query, rcode,
                           reason ? std::optional(dns::Explanation{*reason, {}}) : std::nullopt);
}

Accepted WaitingClients::reject_for_overload(const Incoming& incoming, const dns::QueryView& query, Place place,
                                             TimePoint now) {
  counters_.add(Counter::overloaded);
  std::string_view why = "out of memory";
  if (leaves_too_much_unanswered(place, now)) {
    why = "too many unanswered queries from this address";
    counters_.add(Counter::client_limited);
  } else if (waiters_.size() >= kMaxWaiters || queries_.size() >= kMaxQueries) {
    why = "too many queries";
  } else if (!quota_.may_wait(place, kMaxWaiters - waiters_.size()) ||
             !quota_.may_begin(place, kMaxQueries - queries_.size())) {
    why = "too many queries from this address";
    counters_.add(Counter::client_limited);
  }
  return answer_with_error(incoming, query, dns::Rcode::servfail, dns::Explanation{dns::ExtendedError::other, why});
}

/// An error of the relay's own.
Accepted WaitingClients::answer_with_error(const Incoming& incoming, const dns::QueryView& query, dns::Rcode rcode,
                                           const std::optional<dns::Explanation>& explanation) {
  return answered(dns::write_error_response(answer_buffer_, dns::Asker(query, incoming.transport), query.question,
                                            rcode, explanation));
}

/// The answer goes back from accept().
Accepted WaitingClients::answered(Bytes answer) {
  note_answer();
  return {Accepted::Kind::answered, answer};
}

WaiterHandle WaitingClients::add(QueryHandle handle, const Incoming& incoming, const dns::QueryView& message,
                                 Place place, TimePoint now) {
  const WaiterHandle waiter = waiters_.emplace(handle, incoming, message, now + config_.deadline, place);
  quota_.waits(place);
  without_channel_ += incoming.channel == nullptr ? 1 : 0;
  deadlines_.push_back(waiter);
  Query& query = queries_.get(handle);
  query.waiters.push_back(waiter);
  if (query.waiters.size() == 1) return waiter;
  const Bytes name = message.question->name;
  if (!equal(name, query.question().name)) waiters_.get(waiter).spelling.emplace(name);
  return waiter;
}

/// At least one is told: a query that one client asked does not wait behind those that thousands did.
bool WaitingClients::tell(Query& query, const Outcome& outcome) {
  for (bool told = false; !query.waiters.empty(); told = true) {
    if (told && may_deliver_ <= 0) return false;
    const WaiterHandle waiter = query.waiters.front();
    if (waiters_.get(waiter).channel == nullptr) [[unlikely]] {
      release(waiter, query);
      continue;
    }
    const Bytes answer = write(query, waiters_.get(waiter), outcome);
    may_deliver_ -= static_cast<std::ptrdiff_t>(answer.size());
    deliver(waiter, query, answer);
  }
  return true;
}

Accepted WaitingClients::tell_at_once(Query& query, const Outcome& outcome) {
  assert(query.waiters.size() == 1);
  const WaiterHandle waiter = query.waiters.front();
  const Bytes answer = write(query, waiters_.get(waiter), outcome);
  release(waiter, query);
  return answered(answer);
}

void WaitingClients::tell_one(WaiterHandle waiter, Query& query, const Outcome& outcome) {
  if (waiters_.get(waiter).channel == nullptr) return release(waiter, query);
  deliver(waiter, query, write(query, waiters_.get(waiter), outcome));
}

void WaitingClients::tell_and_go_on(WaiterHandle handle, Query& query, const Outcome& outcome, TimePoint now) {
  Waiter& waiter = waiters_.get(handle);
  ReplyChannel* const channel = std::exchange(waiter.channel, nullptr);
  const ClientKey client = waiter.client;
  ++without_channel_;
  waiter.deadline = now + config_.deadline;
  deadlines_.remove(handle);
  deadlines_.push_back(handle);
  note_answer();
  channel->deliver(client, write(query, waiter, outcome));
}

void WaitingClients::postpone(QueryHandle handle, const Outcome& outcome, TimePoint now) {
  const auto& waiters = queries_.get(handle).waiters;
  for (WaiterHandle waiter = waiters.front(); waiter; waiter = waiters.next(waiter)) {
    deadlines_.remove(waiter);
    may_have_stale_.remove(waiter);
  }
  portion_due_ = std::min(portion_due_, now + kPortionInterval);
  postponed_.push_back({handle, outcome.kind, {outcome.octets.begin(), outcome.octets.end()}});
}

QueryHandle WaitingClients::tell_postponed(TimePoint now) {
  while (!postponed_.empty() && may_deliver_ > 0) {
    Postponed next = std::move(postponed_.front());
    postponed_.pop_front();
    const bool parsed = next.kind == Outcome::Kind::answer || next.kind == Outcome::Kind::stale;
    const auto response = parsed ? dns::parse_response(next.octets) : std::nullopt;
    if (tell(queries_.get(next.query), {next.kind, next.octets, response ? &*response : nullptr})) return next.query;
    postponed_.push_back(std::move(next));
  }
  portion_due_ = postponed_.empty() ? kNever : now + kPortionInterval;
  return {};
}

/// The question as the client spelled it. Valid until the next call.
dns::Question WaitingClients::question_for(const Waiter& waiter, const Query& query) {
  dns::Question question = query.question();
  if (!waiter.spelling) return question;
  const MutableBytes spelled = MutableBytes(spelled_name_).first(question.name.size());
  std::ranges::copy(question.name, spelled.begin());
  waiter.spelling->apply(spelled);
  question.name = spelled;
  return question;
}

[[gnu::always_inline]] inline Bytes WaitingClients::write(const Query& query, const Waiter& waiter,
                                                          const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::answer:
      return dns::write_relayed_response(answer_buffer_, outcome.octets, *outcome.response, waiter.asker,
                                         question_for(waiter, query).name);
    case Outcome::Kind::stale:
      counters_.add(Counter::cache_stale);
      return dns::write_stale_response(answer_buffer_, outcome.octets, *outcome.response, waiter.asker,
                                       question_for(waiter, query).name);
    case Outcome::Kind::error:
      return write_kept_error(query, waiter);
    case Outcome::Kind::failure:
      break;
  }
  counters_.add(Counter::failed);
  const std::string_view cause(reinterpret_cast<const char*>(outcome.octets.data()), outcome.octets.size());
  return dns::write_error_response(answer_buffer_, waiter.asker, question_for(waiter, query), dns::Rcode::servfail,
                                   dns::Explanation{dns::ExtendedError::no_reachable_authority, cause});
}

/// As it came, or built anew when it had no question section.
Bytes WaitingClients::write_kept_error(const Query& query, const Waiter& waiter) {
  const ErrorAnswer& error = *query.error;
  const dns::Question question = question_for(waiter, query);
  if (const auto response = dns::parse_response(error.message); response && response->question) {
    return dns::write_relayed_response(answer_buffer_, error.message, *response, waiter.asker, question.name);
  }
  return dns::write_error_response(answer_buffer_, waiter.asker, question, error.rcode, std::nullopt);
}

[[gnu::always_inline]] inline void WaitingClients::deliver(WaiterHandle handle, Query& query, Bytes answer) {
  ReplyChannel* const channel = waiters_.get(handle).channel;
  const ClientKey client = waiters_.get(handle).client;
  release(handle, query);
  note_answer();
  channel->deliver(client, answer);
}

/// Takes a waiter out of its lists. The caller answers it.
[[gnu::always_inline]] inline void WaitingClients::release(WaiterHandle handle, Query& query) {
  const Place place = waiters_.get(handle).place;
  without_channel_ -= waiters_.get(handle).channel == nullptr ? 1 : 0;
  deadlines_.remove(handle);
  may_have_stale_.remove(handle);
  query.waiters.remove(handle);
  quota_.waits_no_more(place);
  memory_.give_back(kWaiterBytes);
  waiters_.erase(handle);
}

}  // namespace dotrelay
