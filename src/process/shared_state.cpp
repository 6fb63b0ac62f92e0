// See shared_state.hpp.
#include "process/shared_state.hpp"

#include "config/config.hpp"

#include <cassert>
#include <cstring>

namespace dotrelay {
namespace {

/// Changes with every change of Header, WorkerSlot, WorkerConnections, SharedHealth or TicketPool.
constexpr std::uint32_t kVersion = 9;
constexpr std::uint32_t kMagic = 0x646f7472;

static_assert(Counters::kMaxUpstreams >= kMaxUpstreams);

struct Header {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t workers;
  std::uint32_t upstream_addresses;
  std::uint32_t slot_size;
  std::uint32_t health_size;
  std::uint32_t pool_size;

  friend bool operator==(const Header&, const Header&) = default;
};

Header header_for(std::uint32_t workers, std::uint32_t upstream_addresses) {
  return {kMagic, kVersion, workers, upstream_addresses, sizeof(WorkerSlot), sizeof(SharedHealth), sizeof(TicketPool)};
}

/// Parts begin at cache lines.
constexpr std::size_t aligned(std::size_t offset) { return (offset + 63) / 64 * 64; }

/// Where the parts begin: header, worker slots, memory words and connections of the workers, health and tickets of each
/// address.
struct Parts {
  std::size_t slots;
  std::size_t memory;
  std::size_t connections;
  std::size_t health;
  std::size_t tickets;
  std::size_t end;

  Parts(std::size_t workers, std::size_t upstream_addresses)
      : slots(aligned(sizeof(Header))),
        memory(aligned(slots + workers * sizeof(WorkerSlot))),
        connections(aligned(memory + workers * sizeof(SharedWord))),
        health(aligned(connections + workers * upstream_addresses * sizeof(WorkerConnections))),
        tickets(aligned(health + upstream_addresses * sizeof(SharedHealth))),
        end(tickets + upstream_addresses * sizeof(TicketPool)) {}
};

}  // namespace

template <class Part>
Part* SharedState::at(std::size_t offset) const {
  return reinterpret_cast<Part*>(memory_.octets().data() + offset);
}

Result<SharedState> SharedState::create(std::uint32_t workers, std::size_t upstream_addresses) {
  assert(workers <= kMaxWorkers && upstream_addresses <= kMaxUpstreams * kMaxUpstreamAddresses);
  const Header header = header_for(workers, static_cast<std::uint32_t>(upstream_addresses));
  Result<SealedMemory> memory = SealedMemory::create(Parts(workers, upstream_addresses).end);
  if (!memory) return memory.error();
  SharedState state(std::move(*memory), {header.workers, header.upstream_addresses});
  *state.at<Header>(0) = header;
  return state;
}

Result<SharedState> SharedState::map(UniqueFd fd) {
  Result<SealedMemory> memory = SealedMemory::map(std::move(fd));
  if (!memory) return memory.error();
  const std::span<const std::byte> octets = memory->octets();
  Header header{};
  if (octets.size() >= sizeof header) std::memcpy(&header, octets.data(), sizeof header);
  const bool ours = header == header_for(header.workers, header.upstream_addresses) && header.workers > 0 &&
                    header.workers <= kMaxWorkers && header.upstream_addresses <= kMaxUpstreams * kMaxUpstreamAddresses;
  if (!ours || octets.size() < Parts(header.workers, header.upstream_addresses).end)
    return Error{"the shared memory belongs to another version of dotrelay"};
  return SharedState(std::move(*memory), {header.workers, header.upstream_addresses});
}

WorkerSlot& SharedState::slot(std::uint32_t index) const {
  assert(index < layout_.workers);
  return at<WorkerSlot>(Parts(layout_.workers, layout_.upstream_addresses).slots)[index];
}

Totals SharedState::sum() const {
  Totals totals;
  for (std::uint32_t i = 0; i < layout_.workers; ++i) totals += slot(i).counters;
  return totals;
}

std::span<SharedHealth> SharedState::health() const {
  return {at<SharedHealth>(Parts(layout_.workers, layout_.upstream_addresses).health), layout_.upstream_addresses};
}

std::span<TicketPool> SharedState::tickets() {
  return {at<TicketPool>(Parts(layout_.workers, layout_.upstream_addresses).tickets), layout_.upstream_addresses};
}

std::span<SharedWord> SharedState::memory() {
  return {at<SharedWord>(Parts(layout_.workers, layout_.upstream_addresses).memory), layout_.workers};
}

std::span<WorkerConnections> SharedState::connections() {
  return {at<WorkerConnections>(Parts(layout_.workers, layout_.upstream_addresses).connections),
          std::size_t{layout_.workers} * layout_.upstream_addresses};
}

void SharedState::worker_ended(std::uint32_t number) {
  memory()[number - 1].store(0);
  const std::size_t first = std::size_t{number - 1} * layout_.upstream_addresses;
  for (WorkerConnections& address : connections().subspan(first, layout_.upstream_addresses)) {
    address.ready_since.store(0);
    address.dialling_since.store(0);
  }
  for (TicketPool& pool : tickets()) pool.release_slots_of(number);
}

}  // namespace dotrelay
