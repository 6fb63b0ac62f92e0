// See forwarder.hpp. The order of the functions is that of a query's life.
#include "relay/forwarder.hpp"

#include "dns/special_names.hpp"
#include "dns/upstream_query.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {
namespace {

/// An answer that settles the question, for the RCODE policy of docs/manual.md: other errors may be the upstream's own
/// trouble, so the next one is asked. SERVFAIL with a DNSSEC error (RFC 8914 4.2, 4.3, 4.6 to 4.13) is the truth about
/// the domain and would be bypassed by asking a resolver that does not validate.
bool is_final(const dns::Response& response) {
  switch (response.rcode()) {
    case dns::Rcode::refused:
    case dns::Rcode::formerr:
    case dns::Rcode::notimp:
    case dns::Rcode::badvers:
      return false;
    case dns::Rcode::servfail: {
      const auto code = response.extended_error();
      return code && (*code == 1 || *code == 2 || (*code >= 5 && *code <= 12));
    }
    default:
      return true;
  }
}

bool is_error(dns::Rcode rcode) { return rcode != dns::Rcode::noerror && rcode != dns::Rcode::nxdomain; }

}  // namespace

Forwarder::Forwarder(const Config& config, Dialer& dialer, Counters& counters, Log& log, Random& random)
    : config_(config),
      dialer_(dialer),
      counters_(counters),
      log_(log),
      random_(random),
      hash_key_{random.u64(), random.u64()},
      // A quarter: with three upstreams each has been asked before the last quarter of the client's time begins.
      patience_(config.relay.deadline / 4),
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
  for (;;) {
    Query& query = queries_.get(handle);
    room_.remove(handle);
    const UpstreamSet::Choice choice = query.may_be_sent()
                                           ? upstreams_.choose(query.asked, query.stale, query.fresh_since, now)
                                           : UpstreamSet::Choice{};
    start_trials(choice.target.upstream, false, now);
    switch (choice.kind) {
      case UpstreamSet::Choice::Kind::send:
        if (send(handle, choice.connection, now)) return;
        break;
      case UpstreamSet::Choice::Kind::dial:
        dial(choice.target, now);
        room_.push_back(handle);
        return;
      case UpstreamSet::Choice::Kind::wait:
        room_.push_back(handle);
        return;
      case UpstreamSet::Choice::Kind::none:
        if (wait_in_room(handle, now)) return;
        break;
    }
  }
}

/// Nothing is usable for the query now. False: try route() again.
bool Forwarder::wait_in_room(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (!query.attempts.empty()) return true;
  if (query.error) {
    finish_with_error(handle, query.error->rcode);
    return true;
  }
  if (!query.may_be_sent()) {
    fail(handle, now);
    return true;
  }
  if (query.asked == upstreams_.everyone()) {
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
    upstreams_[upstream].last_problem =
        upstreams_.label({upstream, pooled.address}) + ": does not take queries fast enough";
    return false;
  }
  counters_.add(Counter::upstream_queries);
  query.attempts.push_back({connection_handle, id, upstream, now});
  ++query.sendings;
  query.patience_until = now + patience_;
  patience_queue_.remove(handle);
  patience_queue_.push_back(handle);
  if (const auto target = upstreams_.wants_more(upstream)) dial(*target, now);
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
    if (pooled.last_received <= attempt.sent_at && pooled.connection->path_is_silent())
      dead.push_back(attempt.connection);
  }
  for (const ConnectionHandle connection : dead) {
    if (upstreams_.connections().find(connection) == nullptr) continue;
    close(connection, {CloseKind::timed_out, "connection timed out"}, now);
  }
  Query* const query = queries_.find(handle);
  if (query == nullptr || query->attempts.empty()) return;  // close() has routed or answered it
  for (const Attempt& attempt : query->attempts) query->asked |= UpstreamMask{1} << attempt.upstream;
  route(handle, now);
}

void Forwarder::on_activity(ConnectionHandle handle, TimePoint now) noexcept {
  PooledConnection* pooled = upstreams_.connections().find(handle);
  if (pooled == nullptr) return;
  if (!pooled->ready && pooled->connection->state() == Connection::State::ready) on_ready(handle, now);
  for (;;) {
    pooled = upstreams_.connections().find(handle);
    if (pooled == nullptr) return;
    const std::optional<Bytes> message = pooled->connection->next_message();
    if (!message) break;
    on_message(handle, *message, now);
  }
  if (pooled->connection->state() == Connection::State::closed) {
    const CloseReason reason = pooled->connection->close_reason();
    close(handle, reason, now);
  } else if (pooled->pending.abandoned() >= PendingQueries::kMaxAbandoned && pooled->pending.live() == 0) {
    close(handle, {CloseKind::closed_by_peer, "too many unanswered queries"}, now);
  }
}

void Forwarder::on_ready(ConnectionHandle handle, TimePoint now) {
  upstreams_.mark_ready(handle, now);
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index{pooled.upstream, pooled.address};
  UpstreamAddress& address = upstreams_.address(index);
  const bool recovered = address.health.on_success();
  if (recovered || !address.ever_ready) {
    log_.info("upstream " + upstreams_.label(index) + (address.ever_ready ? ": works again, " : ": ready, ") +
              pooled.connection->description());
  } else if (log_.enabled(LogLevel::debug)) {
    log_.debug("upstream " + upstreams_.label(index) + ": connected, " + pooled.connection->description());
  }
  address.ever_ready = true;
  if (outage_since_) {
    log_.info("queries are answered again; no upstream was usable for " + to_text(now - *outage_since_));
    outage_since_.reset();
  }
  urgent_ = false;
  reroute_room(now);
}

void Forwarder::on_message(ConnectionHandle connection_handle, Bytes message, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(connection_handle);
  pooled.last_received = now;
  const std::optional<dns::Response> response = dns::parse_response(message);
  if (!response || response->header.opcode() != static_cast<std::uint8_t>(dns::Opcode::query)) {
    return on_bad_frame(connection_handle, now);
  }
  const std::uint16_t id = response->header.id;
  const std::optional<PendingQueries::Entry> entry = pooled.pending.find(id);
  // RFC 1035 servers answer FORMERR or NOTIMP without the question; then the ID must do.
  const bool matches = entry && (response->question ? in_flight_.hash(*response->question) == entry->question_hash
                                                    : is_error(response->rcode()));
  if (!matches) return on_bad_frame(connection_handle, now);

  if (!entry->query) {
    counters_.add(Counter::upstream_late);
    pooled.pending.remove(id);
    return;
  }
  Query& query = queries_.get(entry->query);
  if (response->question && !dns::same_question(*response->question, query.key().question)) {
    return on_bad_frame(connection_handle, now);
  }
  counters_.add(Counter::upstream_answers);
  pooled.answered = true;
  pooled.pending.remove(id);
  if (pooled.pending.live() == 0) pooled.idle_since = now;
  std::erase_if(query.attempts, [&](const Attempt& attempt) {
    if (attempt.connection != connection_handle || attempt.id != id) return false;
    query.asked |= UpstreamMask{1} << attempt.upstream;
    return true;
  });
  on_answer(entry->query, *response, message, now);
}

void Forwarder::on_bad_frame(ConnectionHandle handle, TimePoint now) {
  counters_.add(Counter::upstream_mismatched);
  if (++upstreams_.connections().get(handle).bad_frames < kMaxBadFrames) return;
  close(handle, {CloseKind::protocol, "answers that match no query"}, now);
}

void Forwarder::on_answer(QueryHandle handle, const dns::Response& response, Bytes message, TimePoint now) {
  Query& query = queries_.get(handle);
  if (response.question && is_final(response)) return finish(handle, response, message);
  counters_.add(Counter::upstream_errors);
  const bool second = query.error.has_value();
  query.error.emplace(ErrorAnswer{response.rcode(), {}});
  if (response.question) query.error->message.assign(message.begin(), message.end());
  if (second) return finish_with_error(handle, response.rcode());
  // An attempt under way at another upstream is the second opinion.
  if (query.attempts.empty()) route(handle, now);
}

/// Ends a connection, for a reason of its own or of the forwarder's, and finds its queries another one.
void Forwarder::close(ConnectionHandle handle, const CloseReason& reason, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index{pooled.upstream, pooled.address};
  const bool was_ready = pooled.ready;
  const bool owed = pooled.pending.live() > 0;
  const bool answered = pooled.answered;
  CloseReason told = reason;
  if (was_ready && reason.kind == CloseKind::closed_by_peer) told.text = "connection closed before the answer";
  if (!was_ready) counters_.add(Counter::upstream_dial_failures);
  if (!was_ready || owed) upstreams_[index.upstream].last_problem = upstreams_.label(index) + ": " + told.text;

  // Servers close idle connections, and some close after so many queries: that is no failure. One that closes on its
  // first queries without a single answer is.
  const bool is_failure = !was_ready || reason.kind != CloseKind::closed_by_peer || (owed && !answered);
  const std::vector<QueryHandle> unanswered = pooled.pending.take_all();
  for (const QueryHandle query : unanswered) {
    std::erase_if(queries_.get(query).attempts, [&](const Attempt& attempt) { return attempt.connection == handle; });
  }
  upstreams_.remove(handle);
  if (is_failure) {
    note_failure(index, told, now);
  } else if (log_.enabled(LogLevel::debug)) {
    log_.debug("upstream " + upstreams_.label(index) + ": closed (" + reason.text + ")");
  }
  for (const QueryHandle query : unanswered) {
    if (Query* const left = queries_.find(query)) {
      if (!answered) ++left->fruitless_sendings;
      retry_elsewhere(query, index.upstream, now);
    }
  }
  if (!was_ready) reroute_room(now);
}

void Forwarder::note_failure(AddressIndex target, const CloseReason& reason, TimePoint now) {
  UpstreamAddress& address = upstreams_.address(target);
  if (reason.kind == CloseKind::authentication) counters_.add(Counter::upstream_authentication_failures);
  if (!address.health.on_failure(reason, now, random_)) return;
  const std::string text = "upstream " + upstreams_.label(target) + ": " + reason.text;
  if (reason.kind == CloseKind::authentication) {
    log_.error(text + "; no query is sent to it until this is mended");
  } else {
    log_.warning(text + "; it is passed over until it works again");
  }
}

/// The connection that the query was sent on has ended without an answer.
void Forwarder::retry_elsewhere(QueryHandle handle, std::size_t upstream, TimePoint now) {
  Query& query = queries_.get(handle);
  if (!query.attempts.empty()) return;
  // A connection that had gone stale says nothing about the upstream, and other pooled ones may be as stale: the second
  // try there has a fresh one.
  const UpstreamMask bit = UpstreamMask{1} << upstream;
  if ((query.stale & bit) != 0) query.asked |= bit;
  query.stale |= bit;
  query.fresh_since = now;
  patience_queue_.remove(handle);
  route(handle, now);
}

void Forwarder::check_connections(TimePoint now) {
  std::vector<ConnectionHandle> timed_out;
  std::vector<ConnectionHandle> idle;
  bool look_again = false;
  upstreams_.connections().for_each([&](ConnectionHandle handle, PooledConnection& pooled) {
    if (!pooled.ready) {
      if (now - pooled.dialled_at >= UpstreamSet::kDialTimeout) timed_out.push_back(handle);
      if (!pooled.slow && now - pooled.dialled_at >= UpstreamSet::kSlowDial) pooled.slow = look_again = true;
    } else if (pooled.pending.live() == 0 && now - pooled.idle_since >= UpstreamSet::kIdleTimeout) {
      idle.push_back(handle);
    }
  });
  for (const ConnectionHandle handle : timed_out) close(handle, {CloseKind::timed_out, "connection timed out"}, now);
  for (const ConnectionHandle handle : idle) close(handle, {CloseKind::closed_by_peer, "idle"}, now);
  if (look_again) reroute_room(now);
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

/// The answer is an error that an upstream gave: as it came, or built anew when it had no question section.
void Forwarder::finish_with_error(QueryHandle handle, dns::Rcode rcode) {
  Query& query = queries_.get(handle);
  const std::vector<std::uint8_t> message = std::move(query.error->message);
  if (const auto response = dns::parse_response(message); response && response->question) {
    return finish(handle, *response, message);
  }
  const dns::Question question = query.key().question;
  while (!query.waiters.empty()) {
    const WaiterHandle waiter = query.waiters.front();
    deliver(waiter, dns::write_error_answer(answer_buffer_, waiters_.get(waiter).asker, question, rcode, std::nullopt));
  }
  drop(handle);
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
  if (query.error) return finish_with_error(query_handle, query.error->rcode);
  counters_.add(Counter::failed);
  deliver(handle, write_failure(query, waiters_.get(handle).asker, now));
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
