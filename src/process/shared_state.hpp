// The memory that supervisor and workers share: each worker has a slot that only it writes, and all of them together
// keep health and tickets of each upstream address. Its header lets a worker refuse memory of another version. It
// belongs to one configuration: tickets are never carried over to another, health is copied for the addresses that both
// have (carry_health).
#pragma once

#include "base/result.hpp"
#include "base/shared_word.hpp"
#include "metrics/totals.hpp"
#include "process/sealed_memory.hpp"
#include "relay/shared_connections.hpp"
#include "relay/shared_health.hpp"
#include "upstream/ticket_pool.hpp"

#include <cstdint>
#include <span>

namespace dotrelay {

struct alignas(64) WorkerSlot {
  /// Grows while the worker's loop turns. Compared by the supervisor with what it saw before, never with a clock: then
  /// a machine that slept as a whole accuses no worker.
  SharedWord heartbeat;
  /// Of the whole relay, in the first worker's slot: see SourceFilter.
  SharedWord denied_told_at;
  Counters counters;
};

class SharedState {
 public:
  /// Memory for `workers` slots and `upstream_addresses` addresses (Config::address_count()), all zero.
  static Result<SharedState> create(std::uint32_t workers, std::size_t upstream_addresses);
  /// Maps memory made by create() in another process of the same program. Anything else is refused before it is
  /// mapped.
  static Result<SharedState> map(UniqueFd fd);

  [[nodiscard]] int fd() const { return memory_.fd(); }
  [[nodiscard]] std::uint32_t workers() const { return layout_.workers; }
  [[nodiscard]] WorkerSlot& slot(std::uint32_t index) const;

  /// What all workers have counted so far.
  [[nodiscard]] Totals sum() const;

  /// By Config::address_number().
  [[nodiscard]] std::span<SharedHealth> health() const;
  std::span<TicketPool> tickets();
  /// What each worker holds of the relay's memory (MemoryBudget), by its number less one.
  [[nodiscard]] std::span<SharedWord> memory();

  /// Of each worker by its number less one, an entry for each upstream address.
  [[nodiscard]] std::span<WorkerConnections> connections();

  /// Gives back what a worker held when it died. `number` from 1; before another worker of that number starts.
  void worker_ended(std::uint32_t number);

 private:
  /// What the header said when the memory was mapped. Later it is not asked: a worker that writes wildly must not lead
  /// the supervisor astray.
  struct Layout {
    std::uint32_t workers = 0;
    std::uint32_t upstream_addresses = 0;
  };
  SharedState(SealedMemory memory, Layout layout) : memory_(std::move(memory)), layout_(layout) {}

  /// The part of the memory that begins at `offset`.
  template <class Part>
  [[nodiscard]] Part* at(std::size_t offset) const;

  SealedMemory memory_;
  Layout layout_;
};

}  // namespace dotrelay
