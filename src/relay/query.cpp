// See query.hpp.
#include "relay/query.hpp"

#include <cstring>

namespace dotrelay {

Query::Query(const QueryKey& key, QueryHashes hashes, const UpstreamOrder& order, TimePoint now, Slab<Waiter>& slab)
    : name_size(static_cast<std::uint8_t>(key.question.name.size())),
      dnssec_ok(key.dnssec_ok),
      type(key.question.type),
      klass(key.question.klass),
      flags(key.flags),
      options(key.options.begin(), key.options.end()),
      hashes(hashes),
      began_at(now),
      waiters(slab),
      zone(key.zone),
      candidates(order) {
  std::memcpy(name.data(), key.question.name.data(), name_size);
}

}  // namespace dotrelay
