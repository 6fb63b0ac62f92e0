// See forwarder.hpp. A query's life in its order: in, on its way, its end. What connections report is in
// forwarder_connections.cpp.
#include "relay/forwarder.hpp"

#include "dns/special_names.hpp"
#include "dns/upstream_query.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

Forwarder::Forwarder(const Config& config, Dialer& dialer, Counters& counters, Log& log, Random& random)
    : config_(config),
      dialer_(dialer),
      counters_(counters),
      log_(log),
      random_(random),
      hash_key_{random.u64(), random.u64()},
      patience_(std::min(config.relay.deadline / 4, kMaxPatience)),
      in_flight_(queries_, hash_key_),
      quota_(hash_key_),
      upstreams_(config.upstreams, random),
      deadlines_(waiters_),
      patience_queue_(queries_),
      room_(queries_),
      answer_buffer_(dns::kResponseBuffer) {}

Forwarder::~Forwarder() = default;

Accepted Forwarder::accept(const Incoming& incoming, TimePoint now) {
  const dns::QueryVerdict verdict = dns::parse_query(incoming.message);
  if (verdict.kind == dns::QueryVerdict::Kind::ignore) {
    counters_.add(Counter::ignored);
    return {};
  }
  counters_.add(incoming.transport.tcp ? Counter::queries_tcp : Counter::queries_udp);
  const dns::Query& query = verdict.query;
  const dns::Asker asker = dns::asker_of(query, incoming.transport);
  if (verdict.kind == dns::QueryVerdict::Kind::answer) {
    counters_.add(Counter::rejected);
    return answer_with_error(asker, query, verdict.rcode);
  }
  if (const auto local = dns::find_local_answer(*query.question)) {
    counters_.add(Counter::answered_locally);
    counters_.add(Counter::answers);
    return {Accepted::Kind::answered, dns::write_local_answer(answer_buffer_, asker, *query.question, *local)};
  }
  const auto options = query.opt ? dns::carried_options(*query.opt) : std::vector<std::uint8_t>{};
  if (!options) {
    counters_.add(Counter::rejected);
    return answer_with_error(asker, query, dns::Rcode::formerr);
  }

  if (waiters_.size() >= kMaxWaiters) return answer_with_error(asker, query, dns::Rcode::servfail, "too many queries");
  const std::optional<std::uint32_t> quota = quota_.take(incoming.source);
  if (!quota) return answer_with_error(asker, query, dns::Rcode::servfail, "too many queries from this address");
  const QueryKey key{*query.question, static_cast<std::uint16_t>(query.header.flags & dns::kQueryFlags),
                     asker.dnssec_ok, *options};
  const QueryHandle handle = join_or_begin(key, now);
  if (!handle) {
    quota_.give_back(*quota);
    return answer_with_error(asker, query, dns::Rcode::servfail, "too many queries");
  }
  add_waiter(handle, incoming, asker, *quota, now);
  return {Accepted::Kind::waiting, {}};
}

/// An error of the relay's own. An explanation makes it one of overload.
Accepted Forwarder::answer_with_error(const dns::Asker& asker, const dns::Query& query, dns::Rcode rcode,
                                      std::string_view explanation) {
  std::optional<dns::Explanation> told;
  if (!explanation.empty()) {
    counters_.add(Counter::overloaded);
    told = dns::Explanation{dns::ExtendedError::other, explanation};
  }
  counters_.add(Counter::answers);
  return {Accepted::Kind::answered, dns::write_error_answer(answer_buffer_, asker, query.question, rcode, told)};
}

/// The query that the client shares, or a new one that still has to be routed; none when a limit is reached.
QueryHandle Forwarder::join_or_begin(const QueryKey& key, TimePoint now) {
  const std::uint64_t hash = in_flight_.hash(key.question);
  if (const QueryHandle shared = in_flight_.find(key, hash)) {
    const Query& query = queries_.get(shared);
    // Who asks late does not join a query that has gone badly so far: a fresh one may do better.
    if (now - query.began_at < config_.relay.deadline / 2) {
      if (query.waiters.size() >= kMaxWaitersPerQuery) return {};
      counters_.add(Counter::shared);
      return shared;
    }
    in_flight_.unlist(shared);
  }
  if (queries_.size() >= kMaxQueries) return {};
  const QueryHandle handle = queries_.emplace(key, hash, now, waiters_);
  in_flight_.list(handle);
  return handle;
}

void Forwarder::add_waiter(QueryHandle handle, const Incoming& incoming, const dns::Asker& asker, std::uint32_t quota,
                           TimePoint now) {
  const WaiterHandle waiter = waiters_.emplace(Waiter{.query = handle,
                                                      .channel = incoming.channel,
                                                      .client = incoming.client,
                                                      .asker = asker,
                                                      .deadline = now + config_.relay.deadline,
                                                      .quota = quota,
                                                      .by_deadline = {},
                                                      .by_query = {}});
  deadlines_.push_back(waiter);
  Query& query = queries_.get(handle);
  query.waiters.push_back(waiter);
  if (query.waiters.size() > 1) return;
  route(handle, now);
}

/// Sends the query to the best upstream that it has not asked yet, or lets it wait for one.
void Forwarder::route(QueryHandle handle, TimePoint now) {
  for (bool refused = false;;) {
    Query& query = queries_.get(handle);
    room_.remove(handle);
    const UpstreamSet::Choice choice = query.may_be_sent()
                                           ? upstreams_.choose(query.asked, query.stale, query.fresh_since, now)
                                           : UpstreamSet::Choice{};
    start_trials(choice.target.upstream, false, now);
    switch (choice.kind) {
      case UpstreamSet::Choice::Kind::send:
        if (send(handle, choice.connection, now)) return;
        refused = true;
        break;
      case UpstreamSet::Choice::Kind::dial:
        dial(choice.target, now);
        room_.push_back(handle);
        return;
      case UpstreamSet::Choice::Kind::wait:
        room_.push_back(handle);
        return;
      case UpstreamSet::Choice::Kind::none:
        // Too much waits for the upstreams already: better an early error than another one in the queue.
        if (refused && query.attempts.empty() && !query.error) return fail(handle, now);
        if (wait_in_room(handle, now)) return;
        break;
    }
  }
}

/// Nothing is usable for the query now. False: try route() again.
bool Forwarder::wait_in_room(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (!query.attempts.empty()) {
    // An upstream that becomes usable while the first is still silent is asked, too.
    if (query.asked != upstreams_.everyone()) room_.push_back(handle);
    return true;
  }
  if (query.error) {
    finish_with_error(handle);
    return true;
  }
  if (!query.may_be_sent()) {
    fail(handle, now);
    return true;
  }
  if (query.asked != 0) {
    // No answer and no error came from those that were asked: they may be asked again. may_be_sent() bounds it.
    query.asked = 0;
    query.stale = 0;
    return false;
  }
  room_.push_back(handle);
  start_trials(upstreams_.size(), true, now);
  if (!upstreams_.worth_waiting(query.asked)) {
    fail(handle, now);
    return true;
  }
  urgent_ = true;
  return true;
}

/// False when the connection cannot take more: the query then leaves this upstream out.
bool Forwarder::send(QueryHandle handle, ConnectionHandle connection_handle, TimePoint now) {
  Query& query = queries_.get(handle);
  PooledConnection& pooled = upstreams_.connections().get(connection_handle);
  const std::uint8_t upstream = pooled.upstream;
  const std::uint16_t id = pooled.pending.add(handle, query.question_hash);
  std::array<std::uint8_t, dns::kMaxUpstreamQuery> message;
  const QueryKey key = query.key();
  const std::size_t size = dns::write_upstream_query(
      message,
      {.id = id, .flags = key.flags, .question = key.question, .dnssec_ok = key.dnssec_ok, .options = key.options});
  if (!pooled.connection->send(Bytes(message).first(size))) {
    pooled.pending.remove(id);
    query.asked |= UpstreamMask{1} << upstream;
    ++query.sendings;  // it counts, or a query that no upstream takes would be tried for ever
    upstreams_[upstream].last_problem =
        upstreams_.label({upstream, pooled.address}) + ": does not take queries fast enough";
    return false;
  }
  counters_.add(Counter::upstream_queries);
  pooled.idle_since = now;
  query.attempts.push_back({connection_handle, id, upstream, now});
  ++query.sendings;
  query.patience_until = now + patience_;
  patience_queue_.remove(handle);
  patience_queue_.push_back(handle);
  if (const auto target = upstreams_.wants_more(upstream, now)) dial(*target, now);
  return true;
}

void Forwarder::dial(AddressIndex target, TimePoint now) {
  counters_.add(Counter::upstream_dials);
  const ConnectionHandle handle = upstreams_.add(target, now);
  upstreams_.connections().get(handle).connection = dialer_.dial(target.upstream, target.address, handle);
}

void Forwarder::start_trials(std::size_t before, bool urgent, TimePoint now) {
  for (const AddressIndex target : upstreams_.trials_due(before, urgent, now)) dial(target, now);
}

/// Tells every query in the room to look again: a connection became ready, failed, or is slow to come.
void Forwarder::reroute_room(TimePoint now) {
  // Those that must go on waiting come back at the end of the room, so exactly those that are in it now are visited.
  for (std::size_t left = room_.size(); left > 0 && !room_.empty(); --left) route(room_.front(), now);
}

/// The query was asked a while ago: look at the connection, and ask the next upstream as well.
void Forwarder::on_patience_over(QueryHandle handle, TimePoint now) {
  patience_queue_.remove(handle);
  std::vector<ConnectionHandle> dead;
  for (const Attempt& attempt : queries_.get(handle).attempts) {
    const PooledConnection& pooled = upstreams_.connections().get(attempt.connection);
    if (pooled.last_received <= attempt.sent_at && pooled.connection->path(now).silent)
      dead.push_back(attempt.connection);
  }
  for (const ConnectionHandle connection : dead) {
    if (upstreams_.connections().find(connection) == nullptr) continue;
    close(connection, {CloseKind::timed_out, "connection timed out"}, now);
  }
  Query* query = queries_.find(handle);
  if (query == nullptr || query->attempts.empty()) return;  // close() has routed or answered it
  for (const Attempt& attempt : query->attempts) query->asked |= UpstreamMask{1} << attempt.upstream;
  route(handle, now);
  // Nobody else to ask: look at the connection again later.
  query = queries_.find(handle);
  if (query == nullptr || query->attempts.empty() || query->by_patience.linked) return;
  query->patience_until = now + patience_;
  patience_queue_.push_back(handle);
}

void Forwarder::on_timer(TimePoint now) {
  while (!deadlines_.empty() && waiters_.get(deadlines_.front()).deadline <= now) fail_waiter(deadlines_.front(), now);
  while (!patience_queue_.empty() && queries_.get(patience_queue_.front()).patience_until <= now) {
    on_patience_over(patience_queue_.front(), now);
  }
  check_connections(now);
  if (!room_.empty() && urgent_) start_trials(upstreams_.size(), true, now);
}

TimePoint Forwarder::next_timeout(TimePoint now) {
  TimePoint next = upstreams_.next_event(!room_.empty() && urgent_, now);
  if (!deadlines_.empty()) next = std::min(next, waiters_.get(deadlines_.front()).deadline);
  if (!patience_queue_.empty()) next = std::min(next, queries_.get(patience_queue_.front()).patience_until);
  return next;
}

void Forwarder::finish(QueryHandle handle, const dns::Response& response, Bytes message) {
  Query& query = queries_.get(handle);
  while (!query.waiters.empty()) {
    const WaiterHandle waiter = query.waiters.front();
    deliver(waiter, dns::write_relayed_answer(answer_buffer_, message, response, waiters_.get(waiter).asker));
  }
  drop(handle);
}

/// The answer is the error that an upstream gave.
void Forwarder::finish_with_error(QueryHandle handle) {
  Query& query = queries_.get(handle);
  while (!query.waiters.empty()) {
    const WaiterHandle waiter = query.waiters.front();
    deliver(waiter, write_kept_error(query, waiters_.get(waiter).asker));
  }
  drop(handle);
}

/// As it came, or built anew when it had no question section.
Bytes Forwarder::write_kept_error(const Query& query, const dns::Asker& asker) {
  const ErrorAnswer& error = *query.error;
  if (const auto response = dns::parse_response(error.message); response && response->question) {
    return dns::write_relayed_answer(answer_buffer_, error.message, *response, asker);
  }
  return dns::write_error_answer(answer_buffer_, asker, query.key().question, error.rcode, std::nullopt);
}

void Forwarder::fail(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  while (!query.waiters.empty()) {
    counters_.add(Counter::failed);
    const WaiterHandle waiter = query.waiters.front();
    deliver(waiter, write_failure(query, waiters_.get(waiter).asker, now));
  }
  drop(handle);
}

/// The client's deadline has passed.
void Forwarder::fail_waiter(WaiterHandle handle, TimePoint now) {
  const QueryHandle query_handle = waiters_.get(handle).query;
  Query& query = queries_.get(query_handle);
  if (query.error) {
    // The others may still get a better one from the next upstream.
    deliver(handle, write_kept_error(query, waiters_.get(handle).asker));
  } else {
    counters_.add(Counter::failed);
    deliver(handle, write_failure(query, waiters_.get(handle).asker, now));
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
  patience_queue_.remove(handle);
  queries_.erase(handle);
}

Bytes Forwarder::write_failure(const Query& query, const dns::Asker& asker, TimePoint now) {
  const std::string text = cause(query);
  if (!outage_since_ && !upstreams_.any_ready()) {
    outage_since_ = now;
    log_.error("no upstream is usable, clients get SERVFAIL: " + text);
  }
  return dns::write_error_answer(answer_buffer_, asker, query.key().question, dns::Rcode::servfail,
                                 dns::Explanation{dns::ExtendedError::no_reachable_authority, text});
}

/// Why the query got no answer: one clause for each upstream that had a part in it, in failover order.
std::string Forwarder::cause(const Query& query) {
  std::string text;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    Upstream& upstream = upstreams_[i];
    const auto attempt = std::ranges::find(query.attempts, i, &Attempt::upstream);
    const auto failing =
        std::ranges::find_if(upstream.addresses, [](const auto& address) { return address.health.failing(); });
    const auto dialled =
        std::ranges::find_if(upstream.addresses, [](const auto& address) { return address.dials > 0; });
    const auto label = [&](auto address) {
      return upstreams_.label({i, static_cast<std::size_t>(address - upstream.addresses.begin())});
    };
    std::string clause;
    if (attempt != query.attempts.end()) {
      const PooledConnection& pooled = upstreams_.connections().get(attempt->connection);
      clause = upstreams_.label({i, pooled.address}) + ": no answer in time";
    } else if (failing != upstream.addresses.end()) {
      clause = label(failing) + ": " + failing->health.failure().text;
    } else if (dialled != upstream.addresses.end()) {
      clause = label(dialled) + ": connection timed out";
    } else if ((query.asked | query.stale) >> i & 1) {
      clause = upstream.last_problem;
    }
    if (clause.empty()) continue;
    text.append(text.empty() ? "" : "; ").append(clause);
  }
  return text.empty() ? "no upstream was usable in time" : text;
}

}  // namespace dotrelay
