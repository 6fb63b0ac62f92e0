// See query_beginnings.hpp.
#include "relay/query_beginnings.hpp"

namespace dotrelay {

QueryHashes QueryBeginnings::hashes(const Asked& asked) const {
  const std::uint64_t question = in_flight_.hash(asked.key.question);
  return {.question = question, .key = in_flight_.hash(asked.key, question), .cache = asked.cache};
}

QueryHandle QueryBeginnings::join_or_begin(const Asked& asked, ClientQuota::Place place, TimePoint now) {
  const QueryHashes hashes = this->hashes(asked);
  const QueryHandle shared = in_flight_.find(asked.key, hashes.key);
  if (shared) {
    const Query& query = queries_.get(shared);
    // A late client does not join a query that has gone badly so far: a fresh one may do better. Nor does it join one
    // that already has its share of clients.
    if (query.is_young(config_.deadline, now) && query.waiters.size() < kMaxWaitersPerQuery) {
      clients_.on_shared();
      return shared;
    }
  }
  if (!clients_.may_begin(place, now)) return {};
  if (shared) in_flight_.unlist(shared);
  const QueryHandle handle = queries_.emplace(asked.key, hashes, zones_.order(asked.key.zone), now, clients_.slab());
  queries_.get(handle).begun_for = place;
  clients_.on_begun(place);
  in_flight_.list(handle);
  return handle;
}

QueryHandle QueryBeginnings::begin_refresh(const Asked& asked, TimePoint now) {
  if (in_flight_.find(asked.key, hashes(asked).key)) return {};
  const ClientQuota::Place place = clients_.place_of(asked.incoming.source);
  if (!clients_.admit(place)) return {};
  const QueryHandle handle = join_or_begin(asked, place, now);
  if (!handle) {
    clients_.revoke_admission();
    return {};
  }
  Incoming silent = asked.incoming;
  silent.channel = nullptr;
  clients_.add(handle, silent, asked.message, place, now);
  return handle;
}

}  // namespace dotrelay
