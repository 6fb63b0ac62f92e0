// See forwarder.hpp. What upstream connections report, and what it means for the queries they carry.
#include "relay/forwarder.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// Ends that the peer or the way to it brings about. What has answered before ends normally by any of them: a fatal
/// alert or a KeyUpdate that the TLS library does not take, a time-out of TCP. The next connection shows whether more
/// is wrong.
bool ends_like_a_close(CloseKind kind, bool answered) {
  if (kind == CloseKind::closed_by_peer) return true;
  return answered && (kind == CloseKind::tls || kind == CloseKind::timed_out);
}

/// How a server that wants no further connection shows it: it refuses, closes, resets, or is silent.
bool refuses(CloseKind kind, bool answered) {
  return !answered &&
         (kind == CloseKind::unreachable || kind == CloseKind::timed_out || kind == CloseKind::closed_by_peer);
}

bool is_error(dns::Rcode rcode) { return rcode != dns::Rcode::noerror && rcode != dns::Rcode::nxdomain; }

}  // namespace

void Forwarder::on_activity(ConnectionHandle handle, TimePoint now) noexcept {
  notice_time(now);
  PooledConnection* pooled = upstreams_.connections().find(handle);
  if (pooled == nullptr) return;
  const bool was_doubtful = pooled->rules(now).is_doubtful;
  // No query is to be sent there because of what its last messages say.
  pooled->ended = pooled->connection->state() == Connection::State::closed;
  if (pooled->suspicion.active() && pooled->connection->state() == Connection::State::ready) {
    look_at_path(handle, now);  // for what there is to learn; octets that come prove that the path lives
    pooled = upstreams_.connections().find(handle);
    if (pooled == nullptr) return;
    if (pooled->suspicion.active()) withdraw_suspicion(handle, now);
  }
  if (!pooled->ready && !pooled->measured) measure(handle, now);
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
  } else if (pooled->worn_out()) {
    close_worn(handle, now);
  } else if (pooled->borrowed() && !was_doubtful) {
    drop_borrowed(pooled->index(), now);
  } else if (was_doubtful && !pooled->rules(now).is_doubtful) {
    on_usable(pooled->upstream, now);
    reroute_waiting(now);
  }
}

/// TCP is connected, or ready: how long its way takes decides how long TLS and answers may.
void Forwarder::measure(ConnectionHandle handle, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  if (pooled.connection->state() == Connection::State::closed) return;
  const Duration round_trip = pooled.connection->path(now, {}).round_trip;
  if (round_trip == Duration{}) return;
  pooled.measured = true;
  pooled.dial_until = std::max(pooled.dial_until, now + SlowPath::handshake_limit(round_trip));
  pooled.slow_path.measured(round_trip, patience_, config_.relay.deadline);
}

void Forwarder::on_ready(ConnectionHandle handle, TimePoint now) {
  upstreams_.mark_ready(handle, now);
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  const AddressIndex index{pooled.upstream, pooled.address};
  UpstreamAddress& address = upstreams_.address(index);
  if (!address.ever_ready) {
    log_.info("upstream " + upstreams_.label(index) + ": ready, " + pooled.connection->description());
  } else if (log_.enabled(LogLevel::debug)) {
    log_.debug("upstream " + upstreams_.label(index) + ": connected, " + pooled.connection->description());
  }
  address.ever_ready = true;
  drop_borrowed(index, now);
  if (address.segments.on_ready(pooled.segment_limit, now)) on_large_packets_lost(handle, now);
  on_usable(index.upstream, now);
  close_surplus_dials(index.upstream, now);
  close_renewed(handle, now);
  if (const ConnectionHandle surplus = upstreams_.surplus_connection(handle, now)) {
    close(surplus, {CloseKind::dropped, "there are enough"}, now);
  }
  reroute_waiting(now);
}

/// The connection was made with small segments, beside others whose handshakes do not go on with larger ones.
void Forwarder::on_large_packets_lost(ConnectionHandle made, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(made);
  const AddressIndex index = pooled.index();
  const std::uint16_t limit = pooled.segment_limit;
  log_.warning("upstream " + upstreams_.label(index) + ": " + std::string(kLargePacketsLost) +
               "; for an hour its connections use segments of at most " + std::to_string(limit) + " octets");
  for (const ConnectionHandle handle : std::vector(upstreams_[index.upstream].connections)) {
    const PooledConnection* const other = upstreams_.connections().find(handle);
    if (other == nullptr || other->ready || other->address != index.address) continue;
    if (other->segment_limit != 0 && other->segment_limit <= limit) continue;
    close(handle, {CloseKind::dropped, std::string(kLargePacketsLost)}, now);
  }
}

/// There is a connection to the upstream that queries may be sent on. The caller reroutes those that wait.
void Forwarder::on_usable(std::size_t upstream, TimePoint now) {
  if (const auto lasted = outages_.end(upstream, now)) {
    log_.info("queries are answered again; no upstream was usable for " + to_text(*lasted));
  }
  waiting_.need_none();
}

/// Nobody waits for what may still come on a connection that takes no more queries.
void Forwarder::close_worn(ConnectionHandle handle, TimePoint now) {
  counters_.add(Counter::upstream_retired);
  close(handle, {CloseKind::dropped, "too many unanswered queries"}, now);
}

void Forwarder::close_surplus_dials(std::size_t upstream, TimePoint now) {
  for (const ConnectionHandle dial : upstreams_.surplus_dials(upstream, now)) {
    if (upstreams_.connections().find(dial) != nullptr) close(dial, {CloseKind::dropped, "another one is ready"}, now);
  }
}

/// The connections that the new one replaces, as soon as they owe nothing.
void Forwarder::close_renewed(ConnectionHandle replacement, TimePoint now) {
  const AddressIndex index = upstreams_.connections().get(replacement).index();
  for (const ConnectionHandle handle : std::vector(upstreams_[index.upstream].connections)) {
    const PooledConnection& pooled = upstreams_.connections().get(handle);
    if (!pooled.renewed || pooled.address != index.address || pooled.pending.live() > 0) continue;
    close(handle, {CloseKind::dropped, "replaced"}, now);
  }
}

void Forwarder::on_message(ConnectionHandle connection_handle, Bytes message, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(connection_handle);
  const std::optional<dns::Response> response = dns::parse_response(message);
  if (!response || response->header.opcode() != static_cast<std::uint8_t>(dns::Opcode::query)) {
    return on_bad_frame(connection_handle, message, now);
  }
  const std::uint16_t id = response->header.id;
  const PendingQueries::Entry* const entry = pooled.pending.find(id);
  // RFC 1035 servers answer FORMERR or NOTIMP without the question; then the ID must do.
  const bool matches =
      entry != nullptr && (response->question ? answers(*entry, *response->question) : is_error(response->rcode()));
  if (!matches) return on_bad_frame(connection_handle, message, now);

  if (!pooled.answered && !pooled.borrowed()) upstreams_.address(pooled.index()).connection_limit.on_success(now);
  pooled.answered = true;
  pooled.last_answer = now;
  pooled.mute_at = pooled.useless_at = kNever;
  const AddressIndex index = pooled.index();
  const TimePoint sent_at = entry->sent_at;
  experience_.on_response(sent_at);
  const Meaning meaning = meaning_of(*response, *upstreams_[index.upstream].config);
  const bool good = meaning != Meaning::error;
  const QueryHandle handle = entry->query();
  const GuestHandle guest = entry->guest();
  pooled.pending.remove(id);
  if (pooled.pending.live() == 0) pooled.idle_since = now;
  if (!handle) {
    guest ? lending_.answer(guest, message) : counters_.add(Counter::upstream_late);
    experience_.note_answer(pooled, sent_at, good, now);
    return;
  }
  Query& query = queries_.get(handle);
  counters_.add(Counter::upstream_answers);
  bool trial = false;
  bool edns = true;
  query.attempts.erase_if([&](const Attempt& attempt) {
    if (attempt.connection != connection_handle || attempt.id != id) return false;
    trial = attempt.trial;
    edns = attempt.edns;
    query.candidates.rule_out(attempt.upstream);
    if (!attempt.late) upstreams_[attempt.upstream].usual_time.on_answer(now - sent_at);
    return true;
  });
  if (!good && edns && EdnsTolerance::may_be_ignorance(*response) &&
      ask_without_edns(handle, connection_handle, trial, now)) {
    return;
  }
  if (!edns) experience_.note_ignorance(query, *response, index, now);
  experience_.note_answer(pooled, sent_at, good, now);
  if (good) experience_.note_contradiction(query, meaning, now);
  on_answer(handle, *response, {index, meaning, trial}, message, now);
}

/// The upstream may not understand EDNS: the same question once more, on the same connection, without. False when that
/// is not possible.
bool Forwarder::ask_without_edns(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now) {
  Query& query = queries_.get(handle);
  const PooledConnection& pooled = upstreams_.connections().get(connection);
  const bool open = pooled.connection->state() == Connection::State::ready && !pooled.pending.full();
  if (query.plain.contains(pooled.upstream) || !open || !query.may_be_sent()) return false;
  query.plain.add(pooled.upstream);
  counters_.add(Counter::upstream_without_edns);
  return send(handle, connection, trial, now);
}

/// Whether a question is the one that was asked; of a query that was given up only the hash is left.
[[gnu::always_inline]] inline bool Forwarder::answers(const PendingQueries::Entry& entry,
                                                      const dns::Question& question) const {
  if (!entry.query()) return in_flight_.hash(question) == entry.question_hash;
  return dns::same_question(question, queries_.get(entry.query()).question());
}

/// What is no answer to a query. When it was meant for one all the same, no better answer is to be expected: over TLS
/// only the upstream can have sent it.
void Forwarder::on_bad_frame(ConnectionHandle handle, Bytes message, TimePoint now) {
  const std::optional<dns::BrokenAnswer> broken = dns::read_broken_answer(message);
  const PendingQueries::Entry* const entry =
      broken ? upstreams_.connections().get(handle).pending.find(broken->id) : nullptr;
  if (entry != nullptr && (broken->question ? answers(*entry, *broken->question) : broken->response)) {
    return on_malformed_answer(handle, broken->id, message, now);
  }
  counters_.add(Counter::upstream_mismatched);
  if (!upstreams_.connections().get(handle).stray_frames.add(now)) return;
  counters_.add(Counter::upstream_strayed);
  close(handle, {CloseKind::protocol, "answers that match no query"}, now);
}

/// The upstream has answered the query with octets that cannot be relayed: the attempt has ended, as with an error.
void Forwarder::on_malformed_answer(ConnectionHandle connection_handle, std::uint16_t id, Bytes message,
                                    TimePoint now) {
  counters_.add(Counter::upstream_malformed);
  PooledConnection& pooled = upstreams_.connections().get(connection_handle);
  pooled.mute_at = pooled.useless_at = kNever;
  const AddressIndex index = pooled.index();
  const PendingQueries::Entry entry = *pooled.pending.find(id);
  const QueryHandle handle = entry.query();
  experience_.on_response(entry.sent_at);
  pooled.pending.remove(id);
  if (pooled.pending.live() == 0) pooled.idle_since = now;
  experience_.note_malformed_answer(index, now);
  if (const GuestHandle guest = entry.guest())
    lending_.answer(guest, message);  // its worker judges it as this one would
  if (!handle) return;
  upstreams_[index.upstream].last_problem = upstreams_.label(index) + ": " + std::string(kMalformedAnswer);
  Query& query = queries_.get(handle);
  query.candidates.rule_out(index.upstream);
  bool trial = false;
  query.attempts.erase_if([&](const Attempt& attempt) {
    if (attempt.connection != connection_handle || attempt.id != id) return false;
    trial = attempt.trial;
    return true;
  });
  on_error(handle, {dns::Rcode::servfail, index, {}, true}, trial, now);
}

void Forwarder::on_answer(QueryHandle handle, const dns::Response& response, Source from, Bytes message,
                          TimePoint now) {
  if (from.meaning != Meaning::error && response.question)
    return finish(handle, {Outcome::Kind::answer, message, &response});
  ErrorAnswer error{response.rcode(), from.index, {}};
  if (from.meaning != Meaning::error) {
    queries_.get(handle).error = std::make_unique<ErrorAnswer>(std::move(error));
    return give_up(handle, now);
  }
  counters_.add(Counter::upstream_errors);
  if (response.question && message.size() <= kMaxKeptError) error.message.assign(message.begin(), message.end());
  on_error(handle, std::move(error), from.trial, now);
}

/// An upstream has answered with an error: the next one is asked, unless this was the second opinion.
void Forwarder::on_error(QueryHandle handle, ErrorAnswer error, bool trial, TimePoint now) {
  Query& query = queries_.get(handle);
  // The error of an upstream that is being tried, because it errs or failed before, is nobody's second opinion.
  if (!trial) {
    // The same upstream may have been asked on two connections.
    const bool second = query.error && query.error->from.upstream != error.from.upstream;
    if (!query.error || !error.malformed) query.error = std::make_unique<ErrorAnswer>(std::move(error));
    if (second) return give_up(handle, now);
  }
  // An attempt under way at another upstream is the second opinion.
  const auto hopeless = [](const Attempt& attempt) { return attempt.trial || attempt.suspect; };
  if (std::ranges::all_of(query.attempts, hopeless)) proceed(handle, now);
}

/// Takes a connection out and gives back the queries that it leaves unanswered; they may have attempts elsewhere.
std::vector<QueryHandle> Forwarder::take_down(ConnectionHandle handle, TimePoint now) {
  lending_.dismiss(handle);
  std::vector<QueryHandle> unanswered = upstreams_.connections().get(handle).pending.take_all();
  std::erase_if(unanswered, [&](QueryHandle query) {
    const auto lost = [&](const Attempt& attempt) { return attempt.connection == handle; };
    return queries_.get(query).attempts.erase_if(lost) == 0;  // it was there twice
  });
  upstreams_.remove(handle, now);
  return unanswered;
}

/// Ends a connection, for a reason of its own or of the forwarder's, and finds its queries another one.
void Forwarder::close(ConnectionHandle handle, const CloseReason& reason, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  if (pooled.borrowed()) return close_borrowed(handle, reason, now);
  const AddressIndex index = pooled.index();
  UpstreamAddress& address = upstreams_.address(index);
  const bool was_ready = pooled.ready;
  const bool owed = pooled.pending.live() > 0;
  const bool answered = pooled.answered;
  const Health::Epoch epoch = pooled.epoch;
  const bool was_suspect = pooled.suspicion.active();
  const TimePoint dialled_at = pooled.dialled_at;
  const bool closed_by_peer = ends_like_a_close(reason.kind, answered);
  CloseReason told = reason;
  if (was_ready && reason.kind == CloseKind::closed_by_peer) told.text = "connection closed before the answer";
  if (!was_ready && reason.kind != CloseKind::dropped) counters_.add(Counter::upstream_dial_failures);
  if ((!was_ready && reason.kind != CloseKind::dropped) || owed)
    upstreams_[index.upstream].last_problem = upstreams_.label(index) + ": " + told.text;

  // Servers close idle connections, and some close after so many queries: that is no failure. One that closes on its
  // first queries without a single answer is.
  const bool is_failure = reason.kind != CloseKind::dropped && (!was_ready || !closed_by_peer || (owed && !answered));
  // One that hangs up as soon as a connection is ready may want none.
  const bool hung_up = was_ready && !owed && closed_by_peer && now - pooled.ready_at < IdleClose::kLeast;
  const bool beside = is_failure && !was_ready && upstreams_.has_own(index, now);
  const bool refused = (is_failure || hung_up) && !beside && refuses(reason.kind, answered) &&
                       on_refused(index, dialled_at, told.text, now);
  if (was_ready && !owed && closed_by_peer && !refused) on_server_closed_idle(handle, now);
  if (was_suspect) end_suspicion(handle, now);
  const std::vector<QueryHandle> unanswered = take_down(handle, now);
  if (beside) address.no_more_until = now + Health::kMaxBackOff;
  if (beside && !address.health.in_trouble()) {
    // The server does not want another connection beside those it serves: the address is well.
    log_.debug("upstream " + upstreams_.label(index) + ": no further connection (" + told.text + ")");
  } else if (is_failure && !refused && (was_ready || !address.health.proven_since(dialled_at, now))) {
    experience_.note_trouble(index, trouble_of(reason.kind), told.text, epoch, now);
  } else if (log_.enabled(LogLevel::debug)) {
    log_.debug("upstream " + upstreams_.label(index) + ": closed (" + reason.text + ")");
  }
  for (const QueryHandle query : unanswered) {
    if (Query* const left = queries_.find(query)) {
      if (!answered) ++left->fruitless_sendings;
      // The address of a connection that was refused is well: a sibling's is as good as a fresh one.
      was_suspect || refused ? route_without(query, now) : retry_elsewhere(query, index.upstream, reason.kind, now);
    }
  }
  if (!was_ready) reroute_waiting_in_time(now);
}

/// The connection that the query was sent on has ended without an answer, or is suspected to have.
void Forwarder::retry_elsewhere(QueryHandle handle, std::size_t upstream, CloseKind kind, TimePoint now) {
  Query& query = queries_.get(handle);
  const bool heard = (query.error && query.error->from.upstream == upstream) || kind == CloseKind::protocol;
  query.candidates.on_lost(upstream, heard, now);
  route_without(handle, now);
}

/// Asks elsewhere, unless the query has an attempt left that is worth waiting for.
void Forwarder::route_without(QueryHandle handle, TimePoint now) {
  Query& query = queries_.get(handle);
  if (std::ranges::any_of(query.attempts, &Attempt::promising)) return;
  for (const Attempt& attempt : query.attempts) {
    if (!attempt.suspect) query.candidates.rule_out(attempt.upstream);
  }
  if (std::ranges::all_of(query.attempts, &Attempt::suspect)) checks_.remove(handle);
  proceed(handle, now);
}

}  // namespace dotrelay
