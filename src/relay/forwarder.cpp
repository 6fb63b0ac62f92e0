// See forwarder.hpp. What upstream connections report is in forwarder_answers.cpp.
#include "relay/forwarder.hpp"

#include "dns/upstream_query.hpp"

#include <algorithm>

namespace dotrelay {

Forwarder::Forwarder(const Environment& environment, std::span<SharedHealth> health, SharedConnections shared)
    : config_(environment.config),
      counters_(environment.counters),
      hash_key_{environment.random.u64(), environment.random.u64()},
      zones_(config_),
      in_flight_(queries_, hash_key_),
      clients_(environment, queries_, hash_key_),
      cached_(environment),
      upstreams_(config_.upstreams, health, shared, environment.patience(), environment.random),
      lending_(upstreams_, in_flight_, counters_, config_.relay.deadline, environment.siblings),
      experience_(environment, upstreams_, in_flight_),
      pool_(environment, queries_, upstreams_, lending_, experience_),
      path_watch_(environment, upstreams_, lending_, experience_, pool_),
      router_(environment, queries_, upstreams_, pool_, experience_),
      beginnings_(config_.relay, queries_, in_flight_, clients_, zones_),
      endings_(queries_, in_flight_, clients_, cached_, router_) {}

Forwarder::~Forwarder() = default;

Accepted Forwarder::accept(const Incoming& incoming, TimePoint now) {
  // After a gap on_timer() is due first: it may end other clients' queries, which no client's query is to do.
  if (!is_gap(now)) notice_time(now);
  const dns::QueryVerdict verdict = dns::parse_query(incoming.message);
  if (verdict.kind == dns::QueryVerdict::Kind::ignore) {
    counters_.add(Counter::ignored);
    return {};
  }
  counters_.add(incoming.transport.tcp ? Counter::queries_tcp : Counter::queries_udp);
  const dns::QueryView& query = verdict.query;
  if (verdict.kind == dns::QueryVerdict::Kind::answer) {
    return clients_.reject(incoming, query, verdict.rcode, verdict.reason, now);
  }
  const ZoneNumber zone = zones_.of(*query.question);
  if (const auto local = zones_.local_answer(zone, *query.question))
    return clients_.answer_locally(incoming, query, *local);
  const auto options = query.opt ? dns::carried_options(*query.opt) : std::vector<std::uint8_t>{};
  if (!options) return clients_.reject(incoming, query, dns::Rcode::formerr, {}, now);

  const QueryKey key{*query.question, static_cast<std::uint16_t>(query.header.flags & dns::kQueryFlags),
                     query.opt && query.opt->dnssec_ok, *options, zone};
  const Asked asked{incoming, query, key, cached_.hash(key)};
  const ReadyAnswer* const kept = cached_.find(key, asked.cache, now);
  if (kept != nullptr && (!kept->stale() || upstreams_.all_in_trouble(zones_.order(zone).members(), now))) {
    return answer_from_cache(asked, *kept, now);
  }
  return ask_upstream(asked, kept != nullptr, now);
}

/// The client waits for an upstream's answer; `has_stale`: it may be given a stale one should that be late.
Accepted Forwarder::ask_upstream(const Asked& asked, bool has_stale, TimePoint now) {
  if (asked.cache != 0) counters_.add(Counter::cache_misses);
  const ClientQuota::Place place = clients_.place_of(asked.incoming.source);
  if (!clients_.admit(place)) return clients_.reject_for_overload(asked.incoming, asked.message, place, now);
  const QueryHandle handle = beginnings_.join_or_begin(asked, place, now);
  if (!handle) {
    clients_.revoke_admission();
    return clients_.reject_for_overload(asked.incoming, asked.message, place, now);
  }
  const WaiterHandle waiter = clients_.add(handle, asked.incoming, asked.message, place, now);
  if (has_stale) clients_.offer_stale(waiter);
  const bool is_new = queries_.get(handle).waiters.size() == 1;
  if (is_new && is_gap(now)) {
    router_.let_wait(handle);
  } else if (is_new && !router_.route(handle, now)) {
    return endings_.give_up_at_once(handle, now);
  }
  return {Accepted::Kind::waiting, {}};
}

/// The client is told what is kept, and that is fetched anew before its end, or after it.
Accepted Forwarder::answer_from_cache(const Asked& asked, const ReadyAnswer& kept, TimePoint now) {
  const bool renew = kept.freshness != Freshness::fresh && cached_.claim_refresh(asked.cache, kept.stale(), now);
  const Accepted accepted = clients_.answer_from_cache(asked.incoming, asked.message, kept);
  const QueryHandle handle = renew ? beginnings_.begin_refresh(asked, now) : QueryHandle{};
  if (!handle) return accepted;
  counters_.add(Counter::cache_refreshes);
  // Whatever becomes of it, no client is told, and the answer that was written stays.
  if (is_gap(now)) {
    router_.let_wait(handle);
  } else {
    endings_.give_up_unless(router_.route(handle, now), handle, now);
  }
  return accepted;
}

/// Lets every query that waits look again: a connection became ready, failed, or is slow to come.
void Forwarder::reroute_waiting(TimePoint now) {
  router_.waiting().walk(now,
                         [&](QueryHandle query) { endings_.give_up_unless(router_.route(query, now), query, now); });
}

/// What has become of connections: queries that were on them go elsewhere, those that wait look again.
void Forwarder::settle(TimePoint now) {
  while (pool_.has_news()) {
    const ConnectionNews news = pool_.take_news();
    for (std::size_t i = 0; i < upstreams_.size(); ++i) {
      if (news.usable.contains(i)) router_.on_usable(i, now);
    }
    for (const ConnectionNews::Lost& lost : news.lost) {
      for (const QueryHandle query : lost.queries) {
        Query* const left = queries_.find(query);
        if (left == nullptr) continue;
        if (lost.fruitless) ++left->fruitless_sendings;
        endings_.give_up_unless(lost.upstream_counts ? router_.route_without(query, now)
                                                     : router_.route_after_loss(query, lost.upstream, lost.kind, now),
                                query, now);
      }
    }
    if (!news.usable.empty()) {
      reroute_waiting(now);
    } else if (news.look_again && router_.waiting().may_walk(now)) {
      reroute_waiting(now);
    }
  }
}

void Forwarder::on_timer(TimePoint now) {
  notice_time(now);
  if (clients_.portion_is_due(now)) endings_.tell_postponed(now);
  endings_.expire(now);
  while (const QueryHandle due = router_.checks().due(now)) on_check(due, now);
  check_connections(now);
  while (const auto slowed = experience_.check_expected(now)) ask_elsewhere_too(*slowed, now);
  lending_.expire(now);
  if (now - published_at_ >= kTick) {
    published_at_ = now;
    upstreams_.publish_all(now);
  }
  if (const UpstreamMask urgent = router_.waiting().urgent(); !urgent.empty()) pool_.try_all(urgent, true, now);
}

TimePoint Forwarder::next_timeout(TimePoint now) {
  const WaitingQueries& waiting = router_.waiting();
  TimePoint next = std::min(upstreams_.next_event(), pool_.next_look(waiting.urgent(), now));
  next = std::min({next, clients_.next_event(), router_.checks().next(), waiting.walk_due(), experience_.next_event(),
                   lending_.next_expiry()});
  if (!upstreams_.connections().empty()) next = std::min(next, last_seen_ + kTick);
  return next;
}

/// Called before anything else happens, so that no query is sent to a peer that has gone.
void Forwarder::notice_time(TimePoint now) {
  if (now == last_seen_) return;  // callbacks of one turn have one time
  const bool has_slept = is_gap(now);
  last_seen_ = now;
  clients_.begin_turn();
  if (has_slept) on_sleep(now);
}

/// Whether the process or the machine has slept since time was noticed last.
bool Forwarder::is_gap(TimePoint now) const {
  return now - last_seen_ >= kClockGap && !upstreams_.connections().empty();
}

void Forwarder::on_sleep(TimePoint now) {
  endings_.expire(now);
  router_.restart_outages(now);
  forget_connections(true, "the relay was asleep", now);
}

void Forwarder::on_network_change(TimePoint now) {
  notice_time(now);
  forget_connections(false, "the network has changed", now);
}

void Forwarder::on_clock_set(TimePoint now) {
  notice_time(now);
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (UpstreamAddress& address : upstreams_[i].addresses) {
      if (address.health.trouble() == Trouble::authentication) address.health.retry_now(now);
    }
  }
  pool_.try_all(upstreams_.everyone(), false, now);
}

/// Drops all connections, or those that the kernel would now make in another way.
void Forwarder::forget_connections(bool all, std::string_view why, TimePoint now) {
  const ConnectionPool::Dropped dropped = pool_.drop_all(all, why, now);
  if (dropped.is_other_network) router_.restart_outages(now);
  for (const QueryHandle query : dropped.unanswered) {
    const Query* const left = queries_.find(query);
    if (left != nullptr && left->attempts.empty()) endings_.give_up_unless(router_.route_anew(query, now), query, now);
  }
  if (!router_.waiting().empty()) reroute_waiting(now);
}

/// The query was asked a while ago, and has no answer yet.
void Forwarder::on_check(QueryHandle handle, TimePoint now) {
  QueryChecks& checks = router_.checks();
  checks.remove(handle);
  const Query& query = queries_.get(handle);
  if (query.attempts.empty()) {
    // It waits for a connection. When that is its last hope, it does not for ever.
    if (query.last_hope != TimePoint{}) return endings_.give_up_unless(router_.route(handle, now), handle, now);
    return endings_.give_up_unless(!router_.has_waited_in_outage(query, now), handle, now);
  }
  const QueryChecks::Verdict verdict = checks.judge(handle, now);
  if (verdict == QueryChecks::Verdict::early) return;
  const std::uint8_t sendings = query.sendings;
  bool goes_on = router_.route_beside(handle, now);
  if (goes_on && verdict == QueryChecks::Verdict::over) {
    // Is there no other upstream to ask?
    if (query.sendings == sendings) goes_on = router_.repeat(handle, now);
    if (goes_on && !query.attempts.empty()) checks.ensure(handle, now);
  }
  endings_.give_up_unless(goes_on, handle, now);
}

/// Those that wait at an upstream which has turned out to be slow are asked elsewhere as well, as if the connection had
/// died.
void Forwarder::ask_elsewhere_too(const Experience::Slowed& slowed, TimePoint now) {
  for (const QueryHandle handle : slowed.queries) {
    const Query* const query = queries_.find(handle);
    if (query == nullptr) continue;
    const auto elsewhere = [&](const Attempt& attempt) {
      return !attempt.trial && attempt.upstream != slowed.upstream;
    };
    if (std::ranges::none_of(query->attempts, elsewhere))
      endings_.give_up_unless(router_.route_beside(handle, now), handle, now);
  }
}

void Forwarder::check_connections(TimePoint now) {
  const ConnectionPool::Due due = pool_.due(now);
  pool_.end_dials(due, now);
  for (const ConnectionHandle handle : due.unsure) {
    if (upstreams_.connections().find(handle) != nullptr) heed(path_watch_.look(handle, now), handle, now);
  }
  pool_.end_idle(due, now);
  settle(now);
  if (now >= router_.waiting().walk_due() && router_.waiting().may_walk(now)) reroute_waiting(now);
}

/// What the path of a connection is found to be, and what that means for the queries on it.
void Forwarder::heed(const PathWatch::Verdict& verdict, ConnectionHandle handle, TimePoint now) {
  switch (verdict.kind) {
    case PathWatch::Verdict::Kind::suspected:
      return distrust(handle, now);
    case PathWatch::Verdict::Kind::cleared:
      return trust_again(handle, verdict.since, now);
    case PathWatch::Verdict::Kind::unchanged:
    case PathWatch::Verdict::Kind::given_up:
      return;
  }
}

/// What was sent there is asked elsewhere now. The connection stays: its acknowledgements may come yet.
void Forwarder::distrust(ConnectionHandle handle, TimePoint now) {
  for (const QueryHandle query : upstreams_.connections().get(handle).pending.live_queries()) {
    if (queries_.find(query) != nullptr) endings_.give_up_unless(router_.distrust(query, handle, now), query, now);
  }
}

/// The path lives: the peer acknowledges late, or the path has become slow. `since`: when it was suspected.
void Forwarder::trust_again(ConnectionHandle handle, TimePoint since, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index = pooled.index();
  for (const QueryHandle query : pooled.pending.live_queries()) {
    if (queries_.find(query) != nullptr) router_.trust_again(query, handle, now);
  }
  router_.on_usable(index.upstream, now);
  reroute_waiting(now);
  if (!router_.waiting().empty()) return;
  // The fresh connection is not needed; but when suspicions come and go, dials that are given up each time would never
  // end, and one that comes to its end helps.
  if (now - std::exchange(upstreams_.address(index).dial_spared_at, now) >= kTick) pool_.drop_dials(index, since, now);
}

void Forwarder::shrink() {
  clients_.shrink();
  queries_.shrink();
  in_flight_.shrink();
}

}  // namespace dotrelay
