// Queries of siblings that can get no connection to an upstream address, sent on a connection of this worker: guests.
// Each has an ID of the connection's own, and its answer goes back under the borrower's. A guest is never passed on to
// a third worker. What guests say is not trusted further than this: it must be a query, and their number is bounded.
#pragma once

#include "base/clock.hpp"
#include "base/linked_list.hpp"
#include "base/slab.hpp"
#include "dns/message_view.hpp"
#include "metrics/counters.hpp"
#include "relay/in_flight.hpp"
#include "relay/pending_queries.hpp"
#include "relay/siblings.hpp"
#include "relay/upstream_set.hpp"

namespace dotrelay {

/// A sibling's query under way.
struct Guest {
  Guest(const Borrower& borrower, std::uint16_t borrowed_id, ConnectionHandle connection, TimePoint until)
      : borrower(borrower), borrowed_id(borrowed_id), connection(connection), until(until) {}

  Borrower borrower;
  std::uint16_t borrowed_id;  ///< the borrower's
  std::uint16_t id = 0;       ///< on the connection
  ConnectionHandle connection;
  TimePoint until;  ///< by then its client has been told
  ListHook<Guest> by_time;
};

class Lending {
 public:
  static constexpr std::size_t kMaxGuests = 8192;
  static constexpr Duration kExpiryStep = std::chrono::milliseconds(50);

  /// `deadline`: the clients'. The references outlive this object; without `siblings` there are no guests.
  Lending(UpstreamSet& upstreams, const InFlight& hashes, Counters& counters, Duration deadline, Siblings* siblings);

  /// A sibling's query for an address, by Config::address_number().
  void take(const Borrower& borrower, std::size_t address, Bytes message, TimePoint now);

  /// The borrower waits no more for what it asked on this way.
  void release(const Borrower& borrower);
  /// Nor for anything: it has died.
  void release_all(std::uint16_t worker);

  /// An answer, or what is left of one, has come for a guest; its ID is freed by the caller.
  void answer(GuestHandle guest, Bytes message);

  /// The connection is no good any more: its guests are to ask elsewhere.
  void dismiss(ConnectionHandle connection);

  /// Gives up guests whose time has passed. Their IDs stay reserved.
  void expire(TimePoint now);
  [[nodiscard]] TimePoint next_expiry() const {
    return guests_by_time_.empty() ? kNever : guests_.get(guests_by_time_.front()).until;
  }

  [[nodiscard]] bool empty() const { return guests_.empty(); }

 private:
  bool send(const Borrower& borrower, std::size_t address, Bytes message, TimePoint now);
  bool send_on(ConnectionHandle handle, const Borrower& borrower, const dns::QueryView& query, Bytes message,
               TimePoint now);
  template <class Which>
  void give_up(Which which);
  void abandon(GuestHandle guest);
  void erase(GuestHandle guest);

  UpstreamSet& upstreams_;
  const InFlight& hashes_;
  Counters& counters_;
  const Duration deadline_;
  Siblings* const siblings_;
  Slab<Guest> guests_;
  LinkedList<Guest, &Guest::by_time> guests_by_time_;
};

}  // namespace dotrelay
