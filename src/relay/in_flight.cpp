// See in_flight.hpp.
#include "relay/in_flight.hpp"

#include <array>
#include <cassert>
#include <utility>

namespace dotrelay {

InFlight::InFlight(Slab<Query>& queries, HashKey hash_key)
    : queries_(queries), hash_key_(hash_key), buckets_(kFirstBuckets) {}

std::uint64_t InFlight::hash(const dns::Question& question) const {
  std::array<std::uint8_t, dns::kMaxName + 4> folded;
  dns::fold_name(question.name, folded.data());
  std::uint8_t* const end = folded.data() + question.name.size();
  store_u16(end, question.type);
  store_u16(end + 2, question.klass);
  return siphash(hash_key_, Bytes(folded).first(question.wire_size()));
}

QueryHandle InFlight::find(const QueryKey& key, std::uint64_t question_hash) const {
  for (QueryHandle at = buckets_[bucket_of(question_hash)]; at;) {
    const Query& query = queries_.get(at);
    if (query.question_hash == question_hash && query.key() == key) return at;
    at = query.next_in_bucket;
  }
  return {};
}

void InFlight::list(QueryHandle handle) {
  Query& query = queries_.get(handle);
  assert(!query.listed);
  if (size_++ == buckets_.size()) grow();
  query.next_in_bucket = std::exchange(buckets_[bucket_of(query.question_hash)], handle);
  query.listed = true;
}

void InFlight::grow() {
  const std::vector<QueryHandle> old = std::exchange(buckets_, std::vector<QueryHandle>(2 * buckets_.size()));
  for (QueryHandle at : old) {
    while (at) {
      Query& query = queries_.get(at);
      QueryHandle& front = buckets_[bucket_of(query.question_hash)];
      const QueryHandle next = std::exchange(query.next_in_bucket, front);
      front = std::exchange(at, next);
    }
  }
}

void InFlight::unlist(QueryHandle handle) {
  Query& query = queries_.get(handle);
  if (!query.listed) return;
  QueryHandle* link = &buckets_[bucket_of(query.question_hash)];
  while (*link != handle) link = &queries_.get(*link).next_in_bucket;
  *link = query.next_in_bucket;
  query.next_in_bucket = {};
  query.listed = false;
  --size_;
}

}  // namespace dotrelay
