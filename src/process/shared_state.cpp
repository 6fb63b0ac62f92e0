// See shared_state.hpp.
#include "process/shared_state.hpp"

#include "config/config.hpp"

#include <cassert>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/// A process that has mapped memory which another one cuts off dies of SIGBUS (memfd_create(2)).
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

bool may_shrink(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals < 0 || (seals & F_SEAL_SHRINK) == 0;
}

Error mapping_error() { return Error{std::string("cannot map shared memory: ") + std::strerror(errno)}; }

}  // namespace

template <class Part>
Part* SharedState::at(std::size_t offset) const {
  return reinterpret_cast<Part*>(static_cast<std::uint8_t*>(memory_) + offset);
}

Result<SharedState> SharedState::create(std::uint32_t workers, std::size_t upstream_addresses) {
  assert(workers <= kMaxWorkers && upstream_addresses <= kMaxUpstreams * kMaxUpstreamAddresses);
  const Header header = header_for(workers, static_cast<std::uint32_t>(upstream_addresses));
  const std::size_t size = Parts(workers, upstream_addresses).end;
  UniqueFd fd(memfd_create("dotrelay", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return Error{std::string("cannot make shared memory: ") + std::strerror(errno)};
  }
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return mapping_error();
  *static_cast<Header*>(memory) = header;
  return SharedState(std::move(fd), memory, size, {header.workers, header.upstream_addresses});
}

Result<SharedState> SharedState::map(UniqueFd fd) {
  struct stat status {};
  Header header{};
  if (fstat(fd.get(), &status) != 0 || pread(fd.get(), &header, sizeof header, 0) != sizeof header) {
    return Error{"the shared memory is not there"};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  const bool ours = header == header_for(header.workers, header.upstream_addresses) && header.workers > 0 &&
                    header.workers <= kMaxWorkers && header.upstream_addresses <= kMaxUpstreams * kMaxUpstreamAddresses;
  if (!ours || may_shrink(fd.get()) || size < Parts(header.workers, header.upstream_addresses).end)
    return Error{"the shared memory belongs to another version of dotrelay"};
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return mapping_error();
  return SharedState(std::move(fd), memory, size, {header.workers, header.upstream_addresses});
}

SharedState::SharedState(SharedState&& other) noexcept
    : fd_(std::move(other.fd_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(other.size_),
      layout_(other.layout_) {}

SharedState::~SharedState() {
  if (memory_ != nullptr) munmap(memory_, size_);
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
