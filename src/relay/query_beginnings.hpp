// The beginning of a query: a client joins one that is under way, or begins another; an answer that is kept is fetched
// anew before a client has to wait for it.
#pragma once

#include "base/clock.hpp"
#include "config/config.hpp"
#include "relay/in_flight.hpp"
#include "relay/incoming.hpp"
#include "relay/query.hpp"
#include "relay/waiting_clients.hpp"
#include "relay/zones.hpp"

namespace dotrelay {

/// A sound query, as a client has sent it.
struct Asked {
  const Incoming& incoming;
  const dns::QueryView& message;
  QueryKey key;
  std::uint64_t cache = 0;  ///< see CachedAnswers::hash()
};

class QueryBeginnings {
 public:
  /// Clients that share one upstream query, which bounds the work of one answer; the next begins another.
  static constexpr std::size_t kMaxWaitersPerQuery = 10000;

  /// The references outlive the object.
  QueryBeginnings(const RelayConfig& config, Slab<Query>& queries, InFlight& in_flight, WaitingClients& clients,
                  const Zones& zones)
      : config_(config), queries_(queries), in_flight_(in_flight), clients_(clients), zones_(zones) {}

  /// The query that the client shares, or a new one that still has to be routed; none when a limit is reached. The
  /// memory of a new one has been taken (WaitingClients::admit).
  [[nodiscard]] QueryHandle join_or_begin(const Asked& asked, ClientQuota::Place place, TimePoint now);

  /// A new query with the same question as the client's, which has its answer already. It still has to be routed. None
  /// when one is under way or the client has had its share.
  [[nodiscard]] QueryHandle begin_refresh(const Asked& asked, TimePoint now);

 private:
  [[nodiscard]] QueryHashes hashes(const Asked& asked) const;

  const RelayConfig& config_;
  Slab<Query>& queries_;
  InFlight& in_flight_;
  WaitingClients& clients_;
  const Zones& zones_;
};

}  // namespace dotrelay
