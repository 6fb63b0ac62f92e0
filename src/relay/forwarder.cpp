// See forwarder.hpp. A query's life in its order: in, and on its way; its end is in forwarder_endings.cpp. What
// connections report is in forwarder_connections.cpp, what passing time brings in forwarder_time.cpp, what is learned
// about upstreams in experience.cpp, what is borrowed from siblings in forwarder_siblings.cpp.
#include "relay/forwarder.hpp"

#include "dns/special_names.hpp"
#include "dns/upstream_query.hpp"

#include <algorithm>

namespace dotrelay {

Forwarder::Forwarder(const Config& config, std::span<SharedHealth> health, Dialer& dialer, Counters& counters,
                     MemoryBudget& memory, Log& log, Random& random, SharedConnections shared, Siblings* siblings)
    : config_(config),
      dialer_(dialer),
      counters_(counters),
      log_(log),
      hash_key_{random.u64(), random.u64()},
      patience_(std::min(config.relay.deadline / 4, kMaxPatience)),
      siblings_(siblings),
      in_flight_(queries_, hash_key_),
      clients_(config.relay, queries_, hash_key_, counters, memory),
      upstreams_(config.upstreams, health, shared, patience_, random),
      lending_(upstreams_, in_flight_, counters, config.relay.deadline, siblings),
      experience_(config, upstreams_, in_flight_, counters, log, random),
      checks_(queries_),
      waiting_(queries_),
      hedge_budget_(config.relay.hedge) {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    for (std::size_t j = 0; j < upstreams_[i].addresses.size(); ++j) {
      upstreams_.address({i, j}).health.note_first_way(dialer_.way_to(i, j));
    }
  }
}

Forwarder::~Forwarder() = default;

Accepted Forwarder::accept(const Incoming& incoming, TimePoint now) {
  // After a gap on_timer() is due first: it may end other clients' queries, which no client's query is to do.
  const bool has_slept = is_gap(now);
  if (!has_slept) notice_time(now);
  const dns::QueryVerdict verdict = dns::parse_query(incoming.message);
  if (verdict.kind == dns::QueryVerdict::Kind::ignore) {
    counters_.add(Counter::ignored);
    return {};
  }
  counters_.add(incoming.transport.tcp ? Counter::queries_tcp : Counter::queries_udp);
  const dns::Query& query = verdict.query;
  if (verdict.kind == dns::QueryVerdict::Kind::answer) {
    return clients_.reject(incoming, query, verdict.rcode, verdict.reason, now);
  }
  if (const auto local = dns::find_local_answer(*query.question))
    return clients_.answer_locally(incoming, query, *local);
  const auto options = query.opt ? dns::carried_options(*query.opt) : std::vector<std::uint8_t>{};
  if (!options) return clients_.reject(incoming, query, dns::Rcode::formerr, {}, now);

  const ClientQuota::Place place = clients_.place_of(incoming.source);
  if (!clients_.admit(place)) return clients_.reject_for_overload(incoming, query, place, now);
  const QueryKey key{*query.question, static_cast<std::uint16_t>(query.header.flags & dns::kQueryFlags),
                     query.opt && query.opt->dnssec_ok, *options};
  const QueryHandle handle = join_or_begin(key, place, now);
  if (!handle) {
    clients_.revoke_admission();
    return clients_.reject_for_overload(incoming, query, place, now);
  }
  clients_.add(handle, incoming, query, place, now);
  const bool is_new = queries_.get(handle).waiters.size() == 1;
  if (is_new && has_slept) {
    waiting_.add(handle);
  } else if (is_new && !route(handle, now)) {
    return give_up_at_once(handle, now);
  }
  return {Accepted::Kind::waiting, {}};
}

/// The query that the client shares, or a new one that still has to be routed; none when a limit is reached. The memory
/// of a new one has been taken.
QueryHandle Forwarder::join_or_begin(const QueryKey& key, ClientQuota::Place place, TimePoint now) {
  const std::uint64_t question_hash = in_flight_.hash(key.question);
  const std::uint64_t key_hash = in_flight_.hash(key, question_hash);
  const QueryHandle shared = in_flight_.find(key, key_hash);
  if (shared) {
    const Query& query = queries_.get(shared);
    // Who asks late does not join a query that has gone badly so far: a fresh one may do better. Nor one whose answer
    // has work enough to do.
    if (query.is_young(config_.relay.deadline, now) && query.waiters.size() < kMaxWaitersPerQuery) {
      clients_.on_shared();
      return shared;
    }
  }
  if (!clients_.may_begin(place, now)) return {};
  if (shared) in_flight_.unlist(shared);
  const QueryHandle handle =
      queries_.emplace(key, question_hash, key_hash, upstreams_.everyone(), now, clients_.slab());
  queries_.get(handle).begun_for = place;
  clients_.on_begun(place);
  in_flight_.list(handle);
  return handle;
}

/// Sends the query to the best upstream that it has not asked yet, or lets it wait for one; gives it up when nothing is
/// to be hoped for.
void Forwarder::proceed(QueryHandle handle, TimePoint now) {
  if (!route(handle, now)) give_up(handle, now);
}

/// False: the query is to be given up. No other query is touched.
bool Forwarder::route(QueryHandle handle, TimePoint now) {
  for (bool refused = false;;) {
    Query& query = queries_.get(handle);
    if (query.over) return true;
    waiting_.remove(handle);
    const bool patient = query.is_young(config_.relay.deadline, now);
    const UpstreamSet::Choice choice =
        query.may_be_sent() ? upstreams_.choose(query.candidates, patient, now) : UpstreamSet::Choice{};
    if (choice.kind == UpstreamSet::Choice::Kind::none && query.may_be_sent()) {
      start_trials(query.candidates.eligible(), std::nullopt, false, now);
    } else if (choice.target != AddressIndex{} || upstreams_.address(choice.target).health.in_trouble()) {
      start_trials(query.candidates.eligible(), choice.target, false, now);
    }
    switch (choice.kind) {
      case UpstreamSet::Choice::Kind::send:
        if (send(handle, choice.connection, false, now)) {
          send_copy(handle, choice.target, now);
          return true;
        }
        refused = true;
        break;
      case UpstreamSet::Choice::Kind::dial:
        dial(choice.target, now);
        waiting_.add(handle);
        return true;
      case UpstreamSet::Choice::Kind::borrow:
        borrow(choice.target, now);
        break;
      case UpstreamSet::Choice::Kind::wait:
        waiting_.add(handle);
        return true;
      case UpstreamSet::Choice::Kind::none:
        // Too much waits for the upstreams already: better an early error than another one in the queue.
        if (refused && query.attempts.empty()) return wait_for_trial(handle, true, now);
        if (const Hope hope = look_for_hope(handle, now); hope != Hope::another_choice) return hope == Hope::waits;
        break;
    }
  }
}

/// Nothing is usable for the query now.
Forwarder::Hope Forwarder::look_for_hope(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  Candidates& candidates = query.candidates;
  // What is under way on suspects may be answered yet; to ask elsewhere the query needs another connection all the
  // same.
  const bool suspects_only = !query.attempts.empty() && std::ranges::all_of(query.attempts, &Attempt::suspect);
  if (!query.attempts.empty() && (!suspects_only || query.error || !query.may_be_sent())) {
    const UpstreamMask heard = query.error ? UpstreamMask(query.error->from.upstream) : UpstreamMask();
    const UpstreamMask again = (candidates.asked() - heard) & mute_upstreams(query, now);
    if (!again.empty() && query.may_be_sent()) {
      candidates.reopen(again);
      return Hope::another_choice;
    }
    // An upstream that becomes usable while the first is still silent is asked, too.
    if (!candidates.open().empty()) waiting_.add(handle);
    return Hope::waits;
  }
  if (query.error) {
    // A connection that may be stale is better than an error.
    if (query.may_be_sent() && candidates.accept_stale()) return Hope::another_choice;
    // Upstreams that have not said anything may be asked again before an error is the answer.
    const UpstreamMask unheard = candidates.asked() - UpstreamMask(query.error->from.upstream);
    if (!unheard.empty() && query.may_be_sent()) {
      candidates.reopen(unheard);
      return Hope::another_choice;
    }
    if (query.may_be_sent() && borrow_in_trouble(candidates.open(), now)) return Hope::another_choice;
    return wait_for_trial(handle, false, now) ? Hope::waits : Hope::none;
  }
  if (!query.may_be_sent()) return Hope::none;
  if (!candidates.asked().empty()) {
    // No answer and no error came from those that were asked: they may be asked again. may_be_sent() bounds it.
    candidates.reopen_all();
    return Hope::another_choice;
  }
  waiting_.add(handle);
  const UpstreamMask eligible = candidates.eligible();
  if (upstreams_.prompt_dials_until(eligible, now) > now) return Hope::waits;
  start_trials(eligible, std::nullopt, true, now);
  if (!upstreams_.worth_waiting(eligible)) return suspects_only ? Hope::waits : Hope::none;
  waiting_.need(eligible);
  Outage& outage = outages_.of(eligible);
  outage.on_wait(now);
  if (suspects_only || !outage.lasts(now)) return Hope::waits;
  if (has_waited_in_outage(query, now)) return Hope::none;
  checks_.remove(handle);
  checks_.add(handle, query.began_at + Outage::kShortWait, now);
  return Hope::waits;
}

/// Nothing has been usable for long, and the query has waited for a while.
bool Forwarder::has_waited_in_outage(const Query& query, TimePoint now) {
  return outages_.of(query.candidates.eligible()).lasts(now) && now >= query.began_at + Outage::kShortWait;
}

/// The upstreams where all that the query has under way is on connections that have gone mute: other connections there
/// may do better.
UpstreamMask Forwarder::mute_upstreams(const Query& query, TimePoint now) {
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
/// not count. False: there is nobody to wait for.
bool Forwarder::wait_for_trial(QueryHandle handle, bool urgent, TimePoint now) {
  Query& query = queries_.get(handle);
  if (!query.may_be_sent()) return false;
  if (query.last_hope == TimePoint{}) {
    start_trials(query.candidates.open(), std::nullopt, urgent, now);
    query.last_hope = upstreams_.hope_until(query.candidates.open(), patience_, now);
  }
  if (now >= query.last_hope || upstreams_.hope_until(query.candidates.open(), patience_, now) == now) return false;
  waiting_.add(handle);
  checks_.remove(handle);
  checks_.add(handle, query.last_hope, now);
  return true;
}

/// False when the connection cannot take more, or has the query twice: the query then leaves this upstream out.
bool Forwarder::send(QueryHandle handle, ConnectionHandle connection_handle, bool trial, TimePoint now) {
  Query& query = queries_.get(handle);
  PooledConnection& pooled = upstreams_.connections().get(connection_handle);
  const std::uint8_t upstream = pooled.upstream;
  const auto leave_out = [&] {
    query.candidates.rule_out(upstream);
    ++query.sendings;  // it counts, or a query that no upstream takes would be tried for ever
    return false;
  };
  const auto is_there = [&](const Attempt& attempt) { return attempt.connection == connection_handle; };
  if (query.attempts.size() > 1 && std::ranges::count_if(query.attempts, is_there) > 1) return leave_out();
  const std::uint16_t id = pooled.pending.add(handle, query.question_hash, now);
  std::array<std::uint8_t, dns::kMaxUpstreamQuery> message;
  const QueryKey key = query.key();
  const bool edns =
      !query.plain.contains(upstream) && upstreams_.address({upstream, pooled.address}).edns.understands(now);
  const std::size_t size = dns::write_upstream_query(message, {.id = id,
                                                               .flags = key.flags,
                                                               .question = key.question,
                                                               .dnssec_ok = key.dnssec_ok,
                                                               .options = key.options,
                                                               .edns = edns});
  if (!pooled.connection->send(Bytes(message).first(size))) {
    pooled.pending.remove(id);
    upstreams_[upstream].last_problem =
        upstreams_.label({upstream, pooled.address}) + ": does not take queries fast enough";
    return leave_out();
  }
  counters_.add(Counter::upstream_queries);
  if (query.holds_hedge && !trial) [[unlikely]] {
    query.holds_hedge = false;
    // Alone it is no second sending: what it waited beside has ended meanwhile.
    query.attempts.empty() ? hedge_budget_.give_back() : counters_.add(Counter::upstream_hedged);
  }
  pooled.on_sent(now, config_.relay.deadline);
  Attempt& attempt = query.attempts.emplace_back();
  attempt.connection = connection_handle;
  attempt.id = id;
  attempt.upstream = upstream;
  attempt.trial = trial;
  attempt.edns = edns;
  attempt.sent_at = now;
  if (query.sendings++ == 0) hedge_budget_.on_query();
  upstreams_[upstream].on_query(now);
  if (!trial) schedule_check(handle, query, pooled.slow_path, now);
  if (const auto target = upstreams_.wants_more(connection_handle, now)) dial(*target, now);
  if (pooled.borrowed()) [[unlikely]]
    on_passed(pooled.index(), now);
  return true;
}

/// An address in trouble before the one that was asked gets a copy of the query, when a trial is due: so it is tried
/// with real traffic, and no client waits for it.
void Forwarder::send_copy(QueryHandle handle, AddressIndex before, TimePoint now) {
  Query& query = queries_.get(handle);
  const ConnectionHandle connection = upstreams_.trial_by_copy(query.candidates.open(), before, now);
  if (!connection) return;
  const auto twice = [&](const Attempt& attempt) { return attempt.connection == connection; };
  if (std::ranges::any_of(query.attempts, twice)) return;
  const AddressIndex index = upstreams_.connections().get(connection).index();
  UpstreamAddress& address = upstreams_.address(index);
  address.no_trial_until = now + config_.relay.slow;
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

ConnectionHandle Forwarder::dial(AddressIndex target, TimePoint now) {
  counters_.add(Counter::upstream_dials);
  const ConnectionHandle handle = upstreams_.add(target, patience_, now);
  PooledConnection& pooled = upstreams_.connections().get(handle);
  pooled.segment_limit = upstreams_.address(target).segments.get(now);
  pooled.handshake_look_at = now + SegmentLimit::kLook;
  pooled.connection = dialer_.dial(target.upstream, target.address, handle, pooled.segment_limit);
  return handle;
}

/// The parameters are those of UpstreamSet::trials_due().
void Forwarder::start_trials(UpstreamMask among, std::optional<AddressIndex> used, bool urgent, TimePoint now) {
  if (urgent) upstreams_.note_handshakes(now);
  for (const AddressIndex target : upstreams_.trials_due(among, used, urgent, now)) {
    UpstreamAddress& address = upstreams_.address(target);
    if (urgent && !upstreams_.probes_route(target, now) && !address.urgent_dials.claim(address.last_dial, now))
      continue;
    address.health.claim_trial(now);
    dial(target, now);
  }
}

/// Lets every query that waits look again: a connection became ready, failed, or is slow to come.
void Forwarder::reroute_waiting(TimePoint now) {
  waiting_.walk(now, [&](QueryHandle query) { proceed(query, now); });
}

/// The same when a dial has failed or is slow.
void Forwarder::reroute_waiting_in_time(TimePoint now) {
  if (waiting_.may_walk(now)) reroute_waiting(now);
}

}  // namespace dotrelay
