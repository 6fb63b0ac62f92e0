// See in_flight.hpp.
#include "relay/in_flight.hpp"

#include <array>
#include <cassert>

namespace dotrelay {

InFlight::InFlight(Slab<Query>& queries, HashKey hash_key)
    : queries_(queries), hash_key_(hash_key), buckets_(kBuckets) {}

std::uint64_t InFlight::hash(const dns::Question& question) const {
  std::array<std::uint8_t, dns::kMaxName + 4> folded;
  dns::fold_name(question.name, folded.data());
  std::uint8_t* const end = folded.data() + question.name.size();
  store_u16(end, question.type);
  store_u16(end + 2, question.klass);
  return siphash(hash_key_, Bytes(folded).first(question.wire_size()));
}

QueryHandle InFlight::find(const QueryKey& key, std::uint64_t question_hash) const {
  for (QueryHandle at = buckets_[question_hash % kBuckets]; at;) {
    const Query& query = queries_.get(at);
    if (query.question_hash == question_hash && query.key() == key) return at;
    at = query.next_in_bucket;
  }
  return {};
}

void InFlight::list(QueryHandle handle) {
  Query& query = queries_.get(handle);
  assert(!query.listed);
  query.next_in_bucket = std::exchange(buckets_[query.question_hash % kBuckets], handle);
  query.listed = true;
}

void InFlight::unlist(QueryHandle handle) {
  Query& query = queries_.get(handle);
  if (!query.listed) return;
  QueryHandle* link = &buckets_[query.question_hash % kBuckets];
  while (*link != handle) link = &queries_.get(*link).next_in_bucket;
  *link = query.next_in_bucket;
  query.next_in_bucket = {};
  query.listed = false;
}

}  // namespace dotrelay
