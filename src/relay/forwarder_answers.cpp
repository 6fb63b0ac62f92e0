// See forwarder.hpp. What upstream connections report, and what answers mean for the queries that they are for.
#include "relay/forwarder.hpp"

#include "relay/failure_cause.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

bool is_error(dns::Rcode rcode) { return rcode != dns::Rcode::noerror && rcode != dns::Rcode::nxdomain; }

}  // namespace

void Forwarder::on_activity(ConnectionHandle handle, TimePoint now) noexcept {
  notice_time(now);
  PooledConnection* const pooled = upstreams_.connections().find(handle);
  if (pooled == nullptr) return;
  const bool was_doubtful = pooled->rules(now).is_doubtful;
  // No query is to be sent there because of what its last messages say.
  pooled->ended = pooled->connection->state() == Connection::State::closed;
  if (receive(handle, now)) conclude(handle, was_doubtful, now);
  settle(now);
}

/// Takes what has come on the connection. False when that was its end.
bool Forwarder::receive(ConnectionHandle handle, TimePoint now) {
  PooledConnection* pooled = upstreams_.connections().find(handle);
  if (pooled->suspicion.active() && pooled->connection->state() == Connection::State::ready) {
    heed(path_watch_.look_at_living(handle, now), handle, now);
    pooled = upstreams_.connections().find(handle);
    if (pooled == nullptr) return false;
  }
  if (!pooled->ready && !pooled->measured) pool_.measure(handle, now);
  if (!pooled->ready && pooled->connection->state() == Connection::State::ready) pool_.on_ready(handle, now);
  for (;;) {
    pooled = upstreams_.connections().find(handle);
    if (pooled == nullptr) return false;
    const std::optional<Bytes> message = pooled->connection->next_message();
    if (!message) return true;
    on_message(handle, *message, now);
  }
}

/// All has been taken: is the connection at its end, or does it take queries again?
void Forwarder::conclude(ConnectionHandle handle, bool was_doubtful, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(handle);
  if (pooled.connection->state() == Connection::State::closed) {
    const CloseReason reason = pooled.connection->close_reason();
    pool_.close(handle, reason, now);
  } else if (pooled.worn_out()) {
    pool_.close_worn(handle, now);
  } else if (pooled.borrowed() && !was_doubtful) {
    pool_.drop_borrowed(pooled.index(), now);
  } else if (was_doubtful && !pooled.rules(now).is_doubtful) {
    router_.on_usable(pooled.upstream, now);
    reroute_waiting(now);
  }
}

void Forwarder::on_message(ConnectionHandle connection, Bytes message, TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(connection);
  const std::optional<dns::ResponseView> response = dns::parse_response(message);
  if (!response || response->header.opcode() != static_cast<std::uint8_t>(dns::Opcode::query)) {
    return on_bad_frame(connection, message, now);
  }
  const PendingQueries::Entry* const asked = pooled.pending.find(response->header.id);
  // RFC 1035 servers answer FORMERR or NOTIMP without the question; then the ID must do.
  const bool matches = asked != nullptr && (response->question ? in_flight_.is_same(*response->question, asked->query(),
                                                                                    asked->question_hash)
                                                               : is_error(response->rcode()));
  if (!matches) return on_bad_frame(connection, message, now);

  if (!pooled.answered && !pooled.borrowed()) upstreams_.address(pooled.index()).connection_limit.on_success(now);
  pooled.answered = true;
  pooled.last_answer = now;
  const PendingQueries::Entry entry = pooled.on_answer(response->header.id, now);
  experience_.on_response(entry.sent_at);
  if (entry.query()) return on_answer(entry, connection, *response, message, now);
  const bool good = meaning_of(*response, *upstreams_[pooled.upstream].config) != Meaning::error;
  const GuestHandle guest = entry.guest();
  guest ? lending_.answer(guest, message) : counters_.add(Counter::upstream_late);
  experience_.note_answer(pooled, entry.sent_at, good, now);
}

/// The query still waits.
void Forwarder::on_answer(const PendingQueries::Entry& entry, ConnectionHandle connection,
                          const dns::ResponseView& response, Bytes message, TimePoint now) {
  counters_.add(Counter::upstream_answers);
  const PooledConnection& pooled = upstreams_.connections().get(connection);
  const AddressIndex from = pooled.index();
  const QueryHandle handle = entry.query();
  Query& query = queries_.get(handle);
  const std::optional<Attempt> attempt = query.take_attempt(connection, response.header.id);
  query.candidates.rule_out(from.upstream);
  if (!attempt->late) upstreams_[from.upstream].usual_time.on_answer(now - entry.sent_at);
  const Meaning meaning = meaning_of(response, *upstreams_[from.upstream].config);
  const bool good = meaning != Meaning::error;
  if (!good && attempt->edns && EdnsTolerance::may_be_ignorance(response) &&
      router_.ask_without_edns(handle, connection, attempt->trial, now)) {
    return;
  }
  if (!attempt->edns) experience_.note_ignorance(query, response, from, now);
  experience_.note_answer(pooled, entry.sent_at, good, now);
  if (good) experience_.note_contradiction(query, meaning, now);
  if (good && response.question) {
    cached_.keep(query, message, response, now);
    return endings_.finish(handle, {Outcome::Kind::answer, message, &response}, now);
  }

  ErrorAnswer error{response.rcode(), from, {}};
  if (good) {
    query.error = std::make_unique<ErrorAnswer>(std::move(error));
    return endings_.give_up(handle, now);
  }
  counters_.add(Counter::upstream_errors);
  if (response.question && message.size() <= kMaxKeptError) error.message.assign(message.begin(), message.end());
  on_error(handle, std::move(error), attempt->trial, now);
}

/// What is no answer to a query. When it was meant for one all the same, no better answer is to be expected: over TLS
/// only the upstream can have sent it.
void Forwarder::on_bad_frame(ConnectionHandle handle, Bytes message, TimePoint now) {
  const std::optional<dns::BrokenAnswer> broken = dns::read_broken_answer(message);
  const PendingQueries::Entry* const entry =
      broken ? upstreams_.connections().get(handle).pending.find(broken->id) : nullptr;
  if (entry != nullptr &&
      (broken->question ? in_flight_.is_same(*broken->question, entry->query(), entry->question_hash)
                        : broken->response)) {
    return on_malformed_answer(handle, broken->id, message, now);
  }
  counters_.add(Counter::upstream_mismatched);
  if (!upstreams_.connections().get(handle).stray_frames.add(now)) return;
  counters_.add(Counter::upstream_strayed);
  pool_.close(handle, {CloseKind::protocol, "answers that match no query"}, now);
}

/// The upstream has answered the query with octets that cannot be relayed: the attempt has ended, as with an error.
void Forwarder::on_malformed_answer(ConnectionHandle connection, std::uint16_t id, Bytes message, TimePoint now) {
  counters_.add(Counter::upstream_malformed);
  PooledConnection& pooled = upstreams_.connections().get(connection);
  const AddressIndex from = pooled.index();
  const PendingQueries::Entry entry = pooled.on_answer(id, now);
  experience_.on_response(entry.sent_at);
  experience_.note_malformed_answer(from, now);
  if (const GuestHandle guest = entry.guest())
    lending_.answer(guest, message);  // its worker judges it as this one would
  const QueryHandle handle = entry.query();
  if (!handle) return;
  upstreams_[from.upstream].last_problem = upstreams_.label(from) + ": " + std::string(kMalformedAnswer);
  Query& query = queries_.get(handle);
  const std::optional<Attempt> attempt = query.take_attempt(connection, id);
  query.candidates.rule_out(from.upstream);
  on_error(handle, {dns::Rcode::servfail, from, {}, true}, attempt->trial, now);
}

/// An upstream has answered with an error: the next one is asked, unless this was the second opinion.
void Forwarder::on_error(QueryHandle handle, ErrorAnswer error, bool trial, TimePoint now) {
  Query& query = queries_.get(handle);
  // The error of an upstream that is being tried, because it errs or failed before, is no second opinion.
  if (!trial) {
    // The same upstream may have been asked on two connections.
    const bool second = query.error && query.error->from.upstream != error.from.upstream;
    if (!query.error || !error.malformed) query.error = std::make_unique<ErrorAnswer>(std::move(error));
    if (second) return endings_.give_up(handle, now);
  }
  // An attempt under way at another upstream is the second opinion.
  const auto hopeless = [](const Attempt& attempt) { return attempt.trial || attempt.suspect; };
  if (std::ranges::all_of(query.attempts, hopeless)) endings_.give_up_unless(router_.route(handle, now), handle, now);
}

}  // namespace dotrelay
