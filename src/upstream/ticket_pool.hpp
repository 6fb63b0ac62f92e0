// The session tickets of one upstream address, in memory that all workers share, so that a ticket that one worker got
// resumes another's connection, and also survives the worker. Each is given out once. There is no lock: a worker may
// die between any two instructions, and then holds at most the slots that it was writing or taking, until the
// supervisor releases them. All zero octets are an empty pool. What a ticket means is TicketStore's business.
#pragma once

#include "base/bytes.hpp"
#include "base/shared_word.hpp"

#include <array>
#include <cstdint>

namespace dotrelay {

class TicketPool {
 public:
  static constexpr std::size_t kSlots = 8;
  /// Tickets are about 300 octets, with TLS 1.2 also the server's certificate. Larger ones are not kept.
  static constexpr std::size_t kMaxTicketBytes = 4096 - 8;

  /// Keeps a copy, in place of the oldest ticket when the pool is full. `worker` is the caller's number, from 1.
  void put(Bytes ticket, std::uint32_t worker);

  /// Moves the newest ticket to the front of `buffer`, which has kMaxTicketBytes, and returns its size; 0: none is
  /// left. The slot is wiped.
  std::size_t take(MutableBytes buffer, std::uint32_t worker);

  /// Empties the slots that a worker held when it died. Only when it has ended.
  void release_slots_of(std::uint32_t worker);

 private:
  struct Slot {
    /// The phase, and the number of the ticket or the worker that holds the slot: one word, so that each step is taken
    /// whole or not at all.
    SharedWord state;
    std::uint32_t size;
    std::array<std::uint8_t, kMaxTicketBytes> octets;
  };
  static_assert(sizeof(Slot) == 4096);

  static void wipe(Slot& slot);
  Slot* claim_for_writing(std::uint32_t claim);

  std::array<Slot, kSlots> slots_;
  alignas(64) SharedWord last_ticket_;  ///< counts the tickets that have come
};

}  // namespace dotrelay
