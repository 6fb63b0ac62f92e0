// The queries that one upstream connection owes an answer to, by message ID (RFC 7766 6.2.1: IDs of queries in flight
// on one connection must differ). IDs are drawn at random from the free ones. The ID of a query that is given up stays
// reserved until its answer comes or the connection closes, so a late answer can never be taken for another's.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/slab.hpp"

#include <cstdint>
#include <vector>

namespace dotrelay {

struct Query;
using QueryHandle = Handle<Query>;
struct Guest;
using GuestHandle = Handle<Guest>;

class PendingQueries {
 public:
  /// Queries at once on one connection. Four connections of 8,192 carry all that a worker takes on.
  static constexpr std::size_t kMaxLive = 8192;
  /// A connection with this many given-up IDs takes no new queries and closes once the live ones are done.
  static constexpr std::size_t kMaxAbandoned = 256;

  explicit PendingQueries(Random& random);

  [[nodiscard]] std::size_t live() const { return live_; }
  [[nodiscard]] std::size_t abandoned() const { return abandoned_; }
  [[nodiscard]] bool worn() const { return abandoned_ >= kMaxAbandoned; }
  [[nodiscard]] bool full() const { return live_ >= kMaxLive || worn(); }

  /// Reserves an ID for the query. `question_hash` recognises its answer after abandon(). Only when not full().
  std::uint16_t add(QueryHandle query, std::uint64_t question_hash, TimePoint sent_at);

  /// The same for a query of a sibling (see lending.hpp).
  [[gnu::cold]] std::uint16_t add_guest(GuestHandle guest, std::uint64_t question_hash, TimePoint sent_at);

  /// What an ID is reserved for: a query, a guest, or what was given up. One handle for either: the table is the
  /// largest part of what a query takes beside itself.
  class Entry {
   public:
    std::uint64_t question_hash = 0;
    TimePoint sent_at{};

    /// None when the query was given up, or is a guest.
    [[nodiscard]] QueryHandle query() const {
      return holder_ == Holder::query ? QueryHandle{index_, serial_} : QueryHandle{};
    }
    [[nodiscard]] GuestHandle guest() const {
      return holder_ == Holder::guest ? GuestHandle{index_, serial_} : GuestHandle{};
    }
    [[nodiscard]] bool live() const { return holder_ == Holder::query || holder_ == Holder::guest; }

   private:
    friend class PendingQueries;
    enum class Holder : std::uint8_t { none, given_up, query, guest };

    std::uint32_t index_ = 0;
    std::uint32_t serial_ = 0;
    Holder holder_ = Holder::none;
  };

  /// What `id` is reserved for, or nullptr. Valid until the next change of the table.
  [[nodiscard]] const Entry* find(std::uint16_t id) const;

  /// Frees the ID, which must be reserved: its answer has come.
  void remove(std::uint16_t id);

  /// Gives the query of `id` up; the ID stays reserved.
  void abandon(std::uint16_t id);

  /// All live queries but guests.
  [[nodiscard]] std::vector<QueryHandle> live_queries() const;

  /// The same. Empties the table.
  std::vector<QueryHandle> take_all();

 private:
  static_assert(sizeof(Entry) <= 32);

  std::uint16_t reserve(Entry::Holder holder, std::uint32_t index, std::uint32_t serial, std::uint64_t question_hash,
                        TimePoint sent_at);

  // IDs are slot numbers spread over 16 bits by a random affine bijection: the table grows with the queries in flight
  // instead of having 65,536 places for each connection.
  [[nodiscard]] std::uint16_t id_of(std::size_t slot) const;
  [[nodiscard]] std::size_t slot_of(std::uint16_t id) const;
  void grow();

  Random& random_;
  std::uint16_t multiplier_;
  std::uint16_t inverse_;
  std::uint16_t offset_;
  std::vector<Entry> slots_;
  std::vector<std::uint16_t> free_;
  std::size_t live_ = 0;
  std::size_t abandoned_ = 0;
};

}  // namespace dotrelay
