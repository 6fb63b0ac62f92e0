// One question on its way through the relay, with all clients that wait for its answer. Plain data: Forwarder decides.
#pragma once

#include "base/clock.hpp"
#include "base/due_wheel.hpp"
#include "base/inline_vector.hpp"
#include "base/linked_list.hpp"
#include "dns/client_response.hpp"
#include "dns/name.hpp"
#include "relay/candidates.hpp"
#include "relay/client_quota.hpp"
#include "relay/connection.hpp"
#include "relay/incoming.hpp"
#include "relay/pending_queries.hpp"
#include "relay/pooled_connection.hpp"
#include "relay/upstream_mask.hpp"
#include "relay/zone_number.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace dotrelay {

struct Waiter;
using WaiterHandle = Handle<Waiter>;

/// A client that waits for the answer to a Query, or the cache alone does.
struct Waiter {
  /// `message` is what `incoming` holds.
  Waiter(QueryHandle query, const Incoming& incoming, const dns::QueryView& message, TimePoint deadline,
         ClientQuota::Place place)
      : query(query),
        channel(incoming.channel),
        client(incoming.client),
        asker(message, incoming.transport),
        deadline(deadline),
        place(place) {}

  QueryHandle query;
  ReplyChannel* channel;  ///< null: the answer is for the cache, no client is told
  ClientKey client;
  dns::Asker asker;
  std::optional<dns::Spelling> spelling;  ///< of the name, where it differs from the query's
  TimePoint deadline;
  ClientQuota::Place place;  ///< the client's
  ListHook<Waiter> by_deadline;
  ListHook<Waiter> by_stale;  ///< of clients that get a stale answer when a fresh one is late
  ListHook<Waiter> by_query;
};

/// What makes two clients' questions one query upstream. The views live as long as what they were made from.
struct QueryKey {
  dns::Question question;
  std::uint16_t flags = 0;  ///< RD, AD and CD
  bool dnssec_ok = false;
  Bytes options;                  ///< those that are carried upstream
  ZoneNumber zone = kCommonZone;  ///< of the name: queries that may go to different upstreams never share one

  friend bool operator==(const QueryKey& left, const QueryKey& right) {
    return left.flags == right.flags && left.dnssec_ok == right.dnssec_ok && left.zone == right.zone &&
           equal(left.options, right.options) && dns::same_question(left.question, right.question);
  }
};

/// Those that InFlight makes of a key.
struct QueryHashes {
  std::uint64_t question = 0;
  std::uint64_t key = 0;
  std::uint64_t cache = 0;  ///< of CachedAnswers; 0: its answer is not kept
};

/// One sending of a query on one connection.
struct Attempt {
  ConnectionHandle connection;
  std::uint16_t id = 0;
  std::uint8_t upstream = 0;
  bool late = false;     ///< its upstream's usual time has passed, or patience
  bool trial = false;    ///< a copy for an upstream in trouble: no client is to wait for it
  bool suspect = false;  ///< its connection is suspected of a dead path: the query is asked elsewhere meanwhile
  bool edns = true;      ///< it had an OPT

  /// Worth waiting for before it is asked elsewhere.
  [[nodiscard]] bool promising() const { return !trial && !late && !suspect; }
  TimePoint sent_at{};
};

/// An error that an upstream answered with, kept while the next upstream is asked.
struct ErrorAnswer {
  dns::Rcode rcode = dns::Rcode::servfail;
  AddressIndex from;
  std::vector<std::uint8_t> message;  ///< empty when it had no question section, or was malformed
  bool malformed = false;             ///< it cannot be relayed: the client gets the cause instead
};

struct Query {
  /// Sendings of one query that ended with a connection that brought no answer at all, and sendings in all: an upstream
  /// that closes on a certain question is not asked for ever, one that closes after each answer still serves all
  /// queries.
  static constexpr std::size_t kMaxFruitlessSendings = 8;
  static constexpr std::size_t kMaxSendings = 64;

  /// `order`: that of the key's zone.
  Query(const QueryKey& key, QueryHashes hashes, const UpstreamOrder& order, TimePoint now, Slab<Waiter>& slab);

  [[nodiscard]] bool may_be_sent() const {
    return sendings < kMaxSendings && fruitless_sendings < kMaxFruitlessSendings;
  }

  /// Takes out the attempt on this connection with this ID, and gives it; none when there is none.
  std::optional<Attempt> take_attempt(ConnectionHandle connection, std::uint16_t id) {
    std::optional<Attempt> taken;
    attempts.erase_if([&](const Attempt& attempt) {
      if (attempt.connection != connection || attempt.id != id) return false;
      taken = attempt;
      return true;
    });
    return taken;
  }

  /// In the first half of its time: it may wait for a better upstream, and clients may join it.
  [[nodiscard]] bool is_young(Duration deadline, TimePoint now) const { return now - began_at < deadline / 2; }

  /// Views of this object.
  [[nodiscard]] dns::Question question() const { return {Bytes(name).first(name_size), type, klass}; }
  [[nodiscard]] QueryKey key() const { return {question(), flags, dnssec_ok, options, zone}; }

  std::uint8_t name_size = 0;
  bool dnssec_ok = false;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::uint16_t flags = 0;
  std::vector<std::uint8_t> options;
  QueryHashes hashes;
  TimePoint began_at{};
  ClientQuota::Place begun_for = 0;  ///< the client that asked first

  LinkedList<Waiter, &Waiter::by_query> waiters;

  InlineVector<Attempt, 2> attempts;  ///< that may still be answered
  std::uint8_t sendings = 0;
  std::uint8_t fruitless_sendings = 0;
  ZoneNumber zone = kCommonZone;
  Candidates candidates;
  UpstreamMask plain;        ///< upstreams to be asked without EDNS, for they have refused it with
  TimePoint hedge_at{};      ///< when it may be asked elsewhere within the budget, if hedge_next
  TimePoint patience_end{};  ///< of the latest sending that was no copy for a trial
  TimePoint last_hope{};     ///< until when it waits for upstreams that are tried for its sake; zero: none was yet
  bool repeated = false;     ///< was sent again to those that it had been sent to
  bool holds_hedge = false;  ///< it has taken of the budget for hedging, and not been sent for it yet
  bool over = false;         ///< its outcome is known, and its clients are being told
  bool hedge_next = false;   ///< the next check is the one after the upstream's usual time
  std::unique_ptr<ErrorAnswer> error;  ///< on the heap: most queries have none

  ListHook<Query> by_waiting;  ///< of those that wait for a connection
  DueHook<Query> check;        ///< when to look what has become of it
  QueryHandle next_in_bucket;  ///< of InFlight
  bool listed = false;         ///< in InFlight

  std::array<std::uint8_t, dns::kMaxName> name;  ///< as the first client spelled it; name_size octets count
};

}  // namespace dotrelay
