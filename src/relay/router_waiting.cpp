// See router.hpp. What a query can do when there is nothing to send it on.
#include "relay/router.hpp"

#include <algorithm>

namespace dotrelay {

/// Nothing is usable for the query now.
Router::Hope Router::look_for_hope(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  // What is under way on suspects may be answered yet; to ask elsewhere the query needs another connection all the
  // same.
  const bool suspects_only = !query.attempts.empty() && std::ranges::all_of(query.attempts, &Attempt::suspect);
  if (!query.attempts.empty() && (!suspects_only || query.error || !query.may_be_sent()))
    return look_beside_attempts(handle, now);
  if (query.error) return look_beside_error(handle, now);
  if (!query.may_be_sent()) return Hope::none;
  if (!query.candidates.asked().empty()) {
    // No answer and no error came from those that were asked: they may be asked again. may_be_sent() bounds it.
    query.candidates.reopen_all();
    return Hope::another_choice;
  }
  return wait_for_any(handle, suspects_only, now);
}

Router::Hope Router::look_beside_attempts(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  const UpstreamMask heard = query.error ? UpstreamMask(query.error->from.upstream) : UpstreamMask();
  const UpstreamMask again = (query.candidates.asked() - heard) & mute_upstreams(query, now);
  if (!again.empty() && query.may_be_sent()) {
    query.candidates.reopen(again);
    return Hope::another_choice;
  }
  // An upstream that becomes usable while the first is still silent is also asked.
  if (!query.candidates.open().empty()) waiting_.add(handle);
  return Hope::waits;
}

Router::Hope Router::look_beside_error(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (!query.may_be_sent()) return Hope::none;
  Candidates& candidates = query.candidates;
  // A connection that may be stale is better than an error.
  if (candidates.accept_stale()) return Hope::another_choice;
  // Upstreams that have not said anything may be asked again before an error is the answer.
  const UpstreamMask unheard = candidates.asked() - UpstreamMask(query.error->from.upstream);
  if (!unheard.empty()) {
    candidates.reopen(unheard);
    return Hope::another_choice;
  }
  if (pool_.borrowing().borrow_in_trouble(candidates.open_in_order(), now)) return Hope::another_choice;
  return wait_for_trial(handle, false, now) ? Hope::waits : Hope::none;
}

/// Nothing at all is usable: the eligible upstreams are dialled.
Router::Hope Router::wait_for_any(QueryHandle handle, bool suspects_only, TimePoint now) {
  const Query& query = queries_.get(handle);
  waiting_.add(handle);
  const UpstreamMask eligible = query.candidates.eligible();
  if (planner_.prompt_dials_until(eligible, now) > now) return Hope::waits;
  pool_.try_all(eligible, true, now);
  if (!planner_.worth_waiting(eligible)) return suspects_only ? Hope::waits : Hope::none;
  waiting_.need(eligible);
  Outage& outage = outages_.of(eligible);
  outage.on_wait(now);
  if (suspects_only || !outage.lasts(now)) return Hope::waits;
  if (has_waited_in_outage(query, now)) return Hope::none;
  checks_.set(handle, query.began_at + Outage::kShortWait, now);
  return Hope::waits;
}

bool Router::has_waited_in_outage(const Query& query, TimePoint now) {
  return outages_.of(query.candidates.eligible()).lasts(now) && now >= query.began_at + Outage::kShortWait;
}

/// The upstreams where all that the query has under way is on connections that have gone mute: other connections there
/// may do better.
UpstreamMask Router::mute_upstreams(const Query& query, TimePoint now) {
  UpstreamMask mute;
  UpstreamMask alive;
  for (const Attempt& attempt : query.attempts) {
    UpstreamMask& side = upstreams_.connections().get(attempt.connection).rules(now).is_doubtful ? mute : alive;
    side.add(attempt.upstream);
  }
  return mute - alive;
}

/// Only an error is left for the client, but other upstreams may work again: those that are due for a trial are tried,
/// and the query waits for as long as a dial may take. `urgent`: what is usable takes no more queries, so back-off does
/// not count. False: there is nothing to wait for.
bool Router::wait_for_trial(QueryHandle handle, bool urgent, TimePoint now) {
  Query& query = queries_.get(handle);
  if (!query.may_be_sent()) return false;
  if (query.last_hope == TimePoint{}) {
    pool_.try_all(query.candidates.open(), urgent, now);
    query.last_hope = planner_.hope_until(query.candidates.open(), now);
  }
  if (now >= query.last_hope || planner_.hope_until(query.candidates.open(), now) == now) return false;
  waiting_.add(handle);
  checks_.set(handle, query.last_hope, now);
  return true;
}

}  // namespace dotrelay
