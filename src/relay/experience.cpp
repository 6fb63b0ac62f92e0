// See experience.hpp.
#include "relay/experience.hpp"

#include <algorithm>

namespace dotrelay {

Experience::Experience(const Environment& environment, UpstreamSet& upstreams, const InFlight& hashes)
    : config_(environment.config),
      upstreams_(upstreams),
      hashes_(hashes),
      counters_(environment.counters),
      log_(environment.log),
      random_(environment.random) {}

void Experience::note_trouble(AddressIndex target, Trouble trouble, const std::string& cause, Health::Epoch epoch,
                              TimePoint now) {
  UpstreamAddress& address = upstreams_.address(target);
  if (trouble == Trouble::authentication) counters_.add(Counter::upstream_authentication_failures);
  if (!address.health.on_trouble(trouble, cause, epoch, now, random_)) return;
  const std::string label = "upstream " + upstreams_.label(target) + ": ";
  if (address.health.trouble() == Trouble::silent_path) {
    log_.debug(label + "its connection may have gone silent, another is made");
  } else if (!address.health.degraded() && upstreams_.has_usable(target, now)) {
    log_.warning(label + cause + "; its open connections still answer and are used, new ones are tried");
  } else if (trouble == Trouble::authentication) {
    log_.error(label + cause + "; no query is sent to it until this is mended");
  } else {
    log_.warning(label + cause + "; it is passed over until it works again");
  }
}

void Experience::note_answer(const PooledConnection& from, TimePoint sent_at, bool good, TimePoint now) {
  const AddressIndex target = from.index();
  UpstreamAddress& address = upstreams_.address(target);
  const bool in_time = now - sent_at < config_.relay.slow;
  if (in_time) address.late.add_good();
  if (good) address.errors.add_good();
  const Trouble trouble = address.health.trouble();
  if (trouble == Trouble::none || (trouble == Trouble::slow && !in_time)) return;
  if (trouble == Trouble::errors && !good)
    return note_trouble(target, trouble, address.health.cause(), address.health.epoch(), now);
  address.late.clear();
  address.errors.clear();
  if (address.health.on_proof(upstreams_.proven_epoch(from, sent_at), now))
    log_.info("upstream " + upstreams_.label(target) + ": works again");
}

void Experience::note_malformed_answer(AddressIndex target, TimePoint now) {
  const Health& health = upstreams_.address(target).health;
  if (health.trouble() == Trouble::errors) note_trouble(target, Trouble::errors, health.cause(), health.epoch(), now);
}

void Experience::note_failed_copy(ConnectionHandle connection, TimePoint now) {
  const PooledConnection& pooled = upstreams_.connections().get(connection);
  const AddressIndex index = pooled.index();
  const Health& health = upstreams_.address(index).health;
  if (!health.in_trouble()) return;
  // Where answers are the trouble, any connection shows whether they are good again.
  note_trouble(index, health.trouble(), health.cause(), health.degraded() ? health.epoch() : pooled.epoch, now);
}

void Experience::note_ignorance(const Query& query, const dns::ResponseView& response, AddressIndex target,
                                TimePoint now) {
  const bool refused_before = query.plain.contains(target.upstream);
  if (!refused_before || EdnsTolerance::may_be_ignorance(response) || !query.options.empty()) return;
  EdnsTolerance& edns = upstreams_.address(target).edns;
  if (edns.understands(now)) {
    log_.info("upstream " + upstreams_.label(target) + ": does not understand EDNS; for an hour it is asked without");
  }
  edns.on_proof_of_ignorance(now);
}

/// It has not answered within config.relay.slow what another upstream has answered, a question about `domain`.
std::optional<Experience::Slowed> Experience::note_unanswered(AddressIndex target, std::uint32_t domain,
                                                              TimePoint now) {
  UpstreamAddress& address = upstreams_.address(target);
  address.late.add_bad(domain);
  if (!address.late.mostly_bad() || address.health.in_trouble()) return std::nullopt;
  note_trouble(target, Trouble::slow, "no answer within " + to_text(config_.relay.slow), address.health.epoch(), now);
  Slowed slowed{target.upstream, {}};
  for (const ConnectionHandle handle : upstreams_[target.upstream].connections) {
    const PooledConnection& pooled = upstreams_.connections().get(handle);
    if (pooled.address != target.address) continue;
    const std::vector<QueryHandle> live = pooled.pending.live_queries();
    slowed.queries.insert(slowed.queries.end(), live.begin(), live.end());
  }
  return slowed;
}

void Experience::note_contradiction(const Query& query, Meaning meaning, TimePoint now) {
  for (const Attempt& attempt : query.attempts) {
    expect_answer(attempt, query, false);
  }
  // An error that is final is no contradiction to another's.
  if (!query.error || meaning != Meaning::answer) return;
  UpstreamAddress& address = upstreams_.address(query.error->from);
  address.errors.add_bad(hashes_.domain_hash(query.question()));
  if (!address.errors.mostly_bad() || address.health.in_trouble()) return;
  note_trouble(query.error->from, Trouble::errors, "answers with errors where others have an answer",
               address.health.epoch(), now);
}

void Experience::expect_answer(const Attempt& attempt, const Query& query, bool trial) {
  if (expected_.size() >= kMaxExpected) return;
  expected_.push_back({.connection = attempt.connection,
                       .id = attempt.id,
                       .trial = trial,
                       .domain = hashes_.domain_hash(query.question()),
                       .sent_at = attempt.sent_at});
}

std::optional<Experience::Slowed> Experience::check_expected(TimePoint now) {
  while (next_event() <= now) {
    const Expected expected = expected_.front();
    expected_.pop_front();
    PooledConnection* const pooled = upstreams_.connections().find(expected.connection);
    if (pooled == nullptr) continue;
    const PendingQueries::Entry* const entry = pooled->pending.find(expected.id);
    if (entry == nullptr || entry->sent_at != expected.sent_at) continue;  // it has come
    if (expected.trial) {
      note_failed_copy(expected.connection, now);
    } else if (auto slowed = note_unanswered(pooled->index(), expected.domain, now)) {
      return slowed;
    }
  }
  return std::nullopt;
}

}  // namespace dotrelay
