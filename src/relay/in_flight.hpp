// The questions in flight, found by what makes them equal, so that clients that ask the same share one upstream query.
#pragma once

#include "base/siphash.hpp"
#include "base/slab.hpp"
#include "relay/query.hpp"

#include <vector>

namespace dotrelay {

class InFlight {
 public:
  InFlight(Slab<Query>& queries, HashKey hash_key);

  /// A keyed hash of QNAME (without case), QTYPE and QCLASS: what an answer is recognised by.
  [[nodiscard]] std::uint64_t hash(const dns::Question& question) const;

  /// A keyed hash of all that queries differ in, so that no client can fill a bucket. `question_hash` is that of
  /// key.question.
  [[nodiscard]] std::uint64_t hash(const QueryKey& key, std::uint64_t question_hash) const;

  /// A keyed hash of the domain that the question is about, as far as one can tell without a list of public suffixes:
  /// of its last two labels, without case.
  [[gnu::cold]] [[nodiscard]] std::uint32_t domain_hash(const dns::Question& question) const;

  /// Whether the question is that of `asked`, or, when that was given up, one with the hash that is left of it.
  [[nodiscard]] bool is_same(const dns::Question& question, QueryHandle asked, std::uint64_t question_hash) const {
    if (!asked) return hash(question) == question_hash;
    return dns::same_question(question, queries_.get(asked).question());
  }

  /// The listed query with this key, or none.
  [[nodiscard]] QueryHandle find(const QueryKey& key, std::uint64_t key_hash) const;

  void list(QueryHandle query);

  /// Does nothing for a query that is not listed.
  void unlist(QueryHandle query);

  /// Makes the table as small as what it holds allows.
  void shrink();

 private:
  /// A small table stays in the processor's fastest cache; it doubles when there are as many questions as buckets.
  static constexpr std::size_t kFirstBuckets = 512;

  [[nodiscard]] std::size_t bucket_of(std::uint64_t key_hash) const { return key_hash & (buckets_.size() - 1); }
  void rehash(std::size_t count);

  Slab<Query>& queries_;
  HashKey hash_key_;
  std::vector<QueryHandle> buckets_;  // a power of two
  std::size_t size_ = 0;
};

}  // namespace dotrelay
