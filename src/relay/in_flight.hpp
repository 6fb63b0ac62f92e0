// The questions in flight, found by what makes them equal, so that clients who ask the same share one upstream query.
#pragma once

#include "base/siphash.hpp"
#include "base/slab.hpp"
#include "relay/query.hpp"

#include <vector>

namespace dotrelay {

class InFlight {
 public:
  InFlight(Slab<Query>& queries, HashKey hash_key);

  /// A keyed hash of QNAME (without case), QTYPE and QCLASS.
  [[nodiscard]] std::uint64_t hash(const dns::Question& question) const;

  /// The listed query with this key, or none.
  [[nodiscard]] QueryHandle find(const QueryKey& key, std::uint64_t question_hash) const;

  void list(QueryHandle query);

  /// Does nothing for a query that is not listed.
  void unlist(QueryHandle query);

 private:
  static constexpr std::size_t kBuckets = 4096;

  Slab<Query>& queries_;
  HashKey hash_key_;
  std::vector<QueryHandle> buckets_;
};

}  // namespace dotrelay
