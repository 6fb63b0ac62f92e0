// See in_flight.hpp.
#include "relay/in_flight.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace dotrelay {

InFlight::InFlight(Slab<Query>& queries, HashKey hash_key)
    : queries_(queries), hash_key_(hash_key), buckets_(kFirstBuckets) {}

std::uint64_t InFlight::hash(const dns::Question& question) const {
  SipHash hash(hash_key_);
  dns::for_each_folded_word(question.name, [&](std::uint64_t word) { hash.absorb(word); });
  hash.absorb(std::uint64_t{question.name.size()} << 32 | std::uint64_t{question.type} << 16 | question.klass);
  return hash.result();
}

std::uint64_t InFlight::hash(const QueryKey& key, std::uint64_t question_hash) const {
  const std::uint64_t hash = question_hash ^ (std::uint64_t{key.dnssec_ok} << 16 | key.flags);
  if (key.options.empty()) [[likely]]
    return hash;
  SipHash with_options(hash_key_);
  with_options.absorb(hash);
  with_options.absorb(siphash(hash_key_, key.options));
  return with_options.result();
}

std::uint32_t InFlight::domain_hash(const dns::Question& question) const {
  return static_cast<std::uint32_t>(hash(dns::Question{dns::last_labels(question.name, 2), 0, 0}));
}

QueryHandle InFlight::find(const QueryKey& key, std::uint64_t key_hash) const {
  for (QueryHandle at = buckets_[bucket_of(key_hash)]; at;) {
    const Query& query = queries_.get(at);
    if (query.hashes.key == key_hash && query.key() == key) return at;
    at = query.next_in_bucket;
  }
  return {};
}

void InFlight::list(QueryHandle handle) {
  Query& query = queries_.get(handle);
  assert(!query.listed);
  if (size_++ == buckets_.size()) rehash(2 * buckets_.size());
  query.next_in_bucket = std::exchange(buckets_[bucket_of(query.hashes.key)], handle);
  query.listed = true;
}

void InFlight::shrink() {
  if (const std::size_t fitting = std::max(kFirstBuckets, std::bit_ceil(size_)); fitting < buckets_.size()) {
    rehash(fitting);
  }
}

void InFlight::rehash(std::size_t count) {
  const std::vector<QueryHandle> old = std::exchange(buckets_, std::vector<QueryHandle>(count));
  for (QueryHandle at : old) {
    while (at) {
      Query& query = queries_.get(at);
      QueryHandle& front = buckets_[bucket_of(query.hashes.key)];
      const QueryHandle next = std::exchange(query.next_in_bucket, front);
      front = std::exchange(at, next);
    }
  }
}

void InFlight::unlist(QueryHandle handle) {
  Query& query = queries_.get(handle);
  if (!query.listed) return;
  QueryHandle* link = &buckets_[bucket_of(query.hashes.key)];
  while (*link != handle) link = &queries_.get(*link).next_in_bucket;
  *link = query.next_in_bucket;
  query.next_in_bucket = {};
  query.listed = false;
  --size_;
}

}  // namespace dotrelay
