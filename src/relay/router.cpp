// See router.hpp.
#include "relay/router.hpp"

#include "dns/upstream_query.hpp"
#include "relay/failure_cause.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <string_view>
#include <utility>

namespace dotrelay {
namespace {

/// "no upstream", or where others serve other names "no upstream among office, branch".
std::string no_upstream(const UpstreamSet& upstreams, UpstreamMask among) {
  std::string text = "no upstream";
  if (among == upstreams.everyone()) return text;
  std::string_view before = " among ";
  for (const std::size_t upstream : UpstreamOrder(among)) {
    text.append(std::exchange(before, ", ")).append(upstreams[upstream].config->name);
  }
  return text;
}

}  // namespace

Router::Router(const Environment& environment, Slab<Query>& queries, UpstreamSet& upstreams, ConnectionPool& pool,
               Experience& experience)
    : config_(environment.config.relay),
      patience_(environment.patience()),
      counters_(environment.counters),
      log_(environment.log),
      queries_(queries),
      upstreams_(upstreams),
      pool_(pool),
      experience_(experience),
      planner_(upstreams, pool.borrowing(), pool.trials(), patience_),
      checks_(environment, queries, upstreams),
      waiting_(queries) {}

bool Router::route(QueryHandle handle, TimePoint now) {
  for (bool refused = false;;) {
    Query& query = queries_.get(handle);
    if (query.over) return true;
    waiting_.remove(handle);
    const bool patient = query.is_young(config_.deadline, now);
    const Plan plan = query.may_be_sent() ? planner_.plan(query.candidates, patient, now) : Plan();
    if (!plan.trials.empty()) pool_.start_trials(plan.trials, false, now);
    switch (plan.next) {
      case Plan::Next::send:
        if (send(handle, plan.connection, false, now)) {
          if (plan.copy) send_copy(handle, plan.copy, now);
          return true;
        }
        refused = true;
        break;
      case Plan::Next::dial:
        pool_.dial(plan.target, now);
        waiting_.add(handle);
        return true;
      case Plan::Next::borrow:
        pool_.borrowing().borrow(plan.target, now);
        break;
      case Plan::Next::wait:
        waiting_.add(handle);
        return true;
      case Plan::Next::nothing:
        // Too much waits for the upstreams already: better an early error than another one in the queue.
        if (refused && query.attempts.empty()) return wait_for_trial(handle, true, now);
        if (const Hope hope = look_for_hope(handle, now); hope != Hope::another_choice) return hope == Hope::waits;
        break;
    }
  }
}

bool Router::route_after_loss(QueryHandle handle, std::size_t upstream, CloseKind kind, TimePoint now) {
  Query& query = queries_.get(handle);
  const bool heard = (query.error && query.error->from.upstream == upstream) || kind == CloseKind::protocol;
  query.candidates.on_lost(upstream, heard, now);
  return route_without(handle, now);
}

bool Router::route_without(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (std::ranges::any_of(query.attempts, &Attempt::promising)) return true;
  for (const Attempt& attempt : query.attempts) {
    if (!attempt.suspect) query.candidates.rule_out(attempt.upstream);
  }
  if (std::ranges::all_of(query.attempts, &Attempt::suspect)) checks_.remove(handle);
  return route(handle, now);
}

bool Router::route_beside(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  for (const Attempt& attempt : query.attempts) query.candidates.rule_out(attempt.upstream);
  return route(handle, now);
}

bool Router::repeat(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (query.attempts.empty() || planner_.prompt_dials_until(query.candidates.open(), now) > now) return true;
  if (std::exchange(query.repeated, true) || !query.may_be_sent()) return true;
  for (const Attempt& attempt : query.attempts) query.candidates.reopen(attempt.upstream);
  return route(handle, now);
}

bool Router::route_anew(QueryHandle handle, TimePoint now) {
  queries_.get(handle).candidates.reopen_all();
  checks_.remove(handle);
  return route(handle, now);
}

bool Router::ask_without_edns(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now) {
  Query& query = queries_.get(handle);
  const PooledConnection& pooled = upstreams_.connections().get(connection);
  const bool open = pooled.connection->state() == Connection::State::ready && !pooled.pending.full();
  if (query.plain.contains(pooled.upstream) || !open || !query.may_be_sent()) return false;
  query.plain.add(pooled.upstream);
  counters_.add(Counter::upstream_without_edns);
  return send(handle, connection, trial, now);
}

/// False when the connection cannot take more, or has the query twice: the query then leaves this upstream out.
bool Router::send(QueryHandle handle, ConnectionHandle connection_handle, bool trial, TimePoint now) {
  Query& query = queries_.get(handle);
  PooledConnection& pooled = upstreams_.connections().get(connection_handle);
  const std::uint8_t upstream = pooled.upstream;
  // All sendings come by here: rather no worker than one that tells an upstream names that are not for it.
  assert(query.candidates.eligible().contains(upstream));
  const bool edns =
      !query.plain.contains(upstream) && upstreams_.address({upstream, pooled.address}).edns.understands(now);
  const auto is_there = [&](const Attempt& attempt) { return attempt.connection == connection_handle; };
  const bool twice = query.attempts.size() > 1 && std::ranges::count_if(query.attempts, is_there) > 1;
  const std::optional<std::uint16_t> id = twice ? std::nullopt : write_query(handle, pooled, edns, now);
  if (!id) {
    query.candidates.rule_out(upstream);
    ++query.sendings;  // it counts, or a query that no upstream takes would be tried for ever
    return false;
  }
  counters_.add(Counter::upstream_queries);
  if (query.holds_hedge && !trial) [[unlikely]]
    checks_.spend_hedge(query);
  pooled.on_sent(now, config_.deadline);
  Attempt& attempt = query.attempts.emplace_back();
  attempt.connection = connection_handle;
  attempt.id = *id;
  attempt.upstream = upstream;
  attempt.trial = trial;
  attempt.edns = edns;
  attempt.sent_at = now;
  if (query.sendings++ == 0) checks_.on_first_sending();
  upstreams_[upstream].on_query(now);
  if (!trial) checks_.on_sent(handle, query, pooled.slow_path, now);
  if (const auto target = planner_.wants_more(connection_handle, now)) pool_.dial(*target, now);
  if (pooled.borrowed()) [[unlikely]]
    pool_.on_passed(pooled.index(), now);
  return true;
}

/// The ID under which the query has left, or none: too much waits on the connection.
[[gnu::always_inline]] inline std::optional<std::uint16_t> Router::write_query(QueryHandle handle,
                                                                               PooledConnection& pooled, bool edns,
                                                                               TimePoint now) {
  const Query& query = queries_.get(handle);
  const std::uint16_t id = pooled.pending.add(handle, query.hashes.question, now);
  std::array<std::uint8_t, dns::kMaxUpstreamQuery> message;
  const QueryKey key = query.key();
  Upstream& upstream = upstreams_[pooled.upstream];
  const std::size_t size = dns::write_upstream_query(message, {.id = id,
                                                               .flags = key.flags,
                                                               .question = key.question,
                                                               .dnssec_ok = key.dnssec_ok,
                                                               .options = key.options,
                                                               .edns = edns,
                                                               .padded = upstream.config->transport == Transport::tls});
  if (pooled.connection->send(Bytes(message).first(size))) return id;
  pooled.pending.remove(id);
  upstream.last_problem = upstreams_.label(pooled.index()) + ": does not take queries fast enough";
  return std::nullopt;
}

/// An address in trouble before the one that was asked gets a copy of the query, when a trial is due: so it is tried
/// with real traffic, and no client waits for it.
void Router::send_copy(QueryHandle handle, ConnectionHandle connection, TimePoint now) {
  Query& query = queries_.get(handle);
  const auto twice = [&](const Attempt& attempt) { return attempt.connection == connection; };
  if (std::ranges::any_of(query.attempts, twice)) return;
  const AddressIndex index = upstreams_.connections().get(connection).index();
  UpstreamAddress& address = upstreams_.address(index);
  address.no_trial_until = now + config_.slow;
  // Where connections fail, only another connection is the trial that all workers wait for.
  if (address.health.degraded()) address.health.claim_trial(now);
  counters_.add(Counter::upstream_trials);
  if (!send(handle, connection, true, now)) {
    query.candidates.reopen(index.upstream);
    experience_.note_failed_copy(connection, now);
    return;
  }
  experience_.expect_answer(query.attempts.back(), query, true);
}

bool Router::distrust(QueryHandle handle, ConnectionHandle connection, TimePoint now) {
  bool newly = false;
  for (Attempt& attempt : queries_.get(handle).attempts) {
    if (attempt.connection == connection) newly = !std::exchange(attempt.suspect, true) || newly;
  }
  return !newly || route_after_loss(handle, upstreams_.connections().get(connection).upstream, CloseKind::silent, now);
}

void Router::trust_again(QueryHandle handle, ConnectionHandle connection, TimePoint now) {
  Query& query = queries_.get(handle);
  for (Attempt& attempt : query.attempts) {
    if (attempt.connection == connection) attempt.suspect = false;
  }
  // It waits for this connection again.
  waiting_.remove(handle);
  if (!checks_.contains(handle))
    checks_.on_sent(handle, query, upstreams_.connections().get(connection).slow_path, now);
}

void Router::on_usable(std::size_t upstream, TimePoint now) {
  if (const auto ended = outages_.end(upstream, now)) {
    log_.info("queries are answered again; " + no_upstream(upstreams_, ended->upstreams) + " was usable for " +
              to_text(ended->lasted));
  }
  waiting_.need_none();
}

std::string Router::explain_failure(const Query& query, TimePoint now) {
  std::string cause = failure_cause(query, upstreams_, now);
  const UpstreamMask eligible = query.candidates.eligible();
  if (!upstreams_.any_usable(eligible, now) && outages_.of(eligible).tell(now))
    log_.error(no_upstream(upstreams_, eligible) + " is usable, clients get SERVFAIL: " + cause);
  return cause;
}

std::size_t Router::count_left_behind(const Query& query) const {
  const auto has_answered_others = [&](const Attempt& attempt) {
    return upstreams_.connections().get(attempt.connection).last_answer > attempt.sent_at;
  };
  return static_cast<std::size_t>(std::ranges::count_if(query.attempts, has_answered_others));
}

void Router::forget(QueryHandle handle) {
  Query& query = queries_.get(handle);
  for (const Attempt& attempt : query.attempts) {
    upstreams_.connections().get(attempt.connection).pending.abandon(attempt.id);
  }
  query.attempts.clear();
  waiting_.remove(handle);
  checks_.end(handle, query);
}

}  // namespace dotrelay
