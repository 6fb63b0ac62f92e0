// The memory that supervisor and workers share: what one writes the other reads, and foreign memory is refused.
#include "process/shared_state.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace dotrelay {
namespace {

using Octets = std::vector<std::uint8_t>;

Octets taken(TicketPool& pool, std::uint32_t worker) {
  Octets octets(TicketPool::kMaxTicketBytes);
  octets.resize(pool.take(octets, worker));
  return octets;
}

TEST_CASE("two mappings see each other's slots") {
  auto ours = SharedState::create(3, 1);
  REQUIRE(ours);
  auto theirs = SharedState::map(UniqueFd(dup(ours->fd())));
  REQUIRE(theirs);
  CHECK(theirs->workers() == 3);
  theirs->slot(2).heartbeat = 7;
  theirs->slot(1).counters.add(Counter::answers, 5);
  CHECK(ours->slot(2).heartbeat == 7);
  CHECK(ours->slot(1).counters.get(Counter::answers) == 5);
  CHECK(ours->slot(0).heartbeat == 0);
  CHECK(ours->slot(2).counters.get(Counter::answers) == 0);
}

TEST_CASE("the sum is of all workers and upstreams, and the same however often it is asked for") {
  auto ours = SharedState::create(3, 1);
  REQUIRE(ours);
  auto theirs = SharedState::map(UniqueFd(dup(ours->fd())));
  REQUIRE(theirs);
  CHECK(ours->sum() == Totals());
  for (std::uint32_t i = 0; i < 3; ++i) {
    theirs->slot(i).counters.add(Counter::answers, i + 1);
    theirs->slot(i).counters.add(UpstreamCounter::upstream_handshakes, i, 10);
    theirs->slot(i).counters.add(UpstreamCounter::upstream_handshakes, Counters::kMaxUpstreams - 1);
  }
  const Totals once = ours->sum();
  CHECK(once.get(Counter::answers) == 6);
  CHECK(once.get(UpstreamCounter::upstream_handshakes) == 33);
  CHECK(ours->sum() == once);
  theirs->slot(0).counters.add(Counter::answers);
  CHECK(ours->sum().get(Counter::answers) == 7);
  CHECK(once.get(Counter::answers) == 6);
}

TEST_CASE("each upstream address has its own health and tickets, and nothing overlaps") {
  auto ours = SharedState::create(3, 4);
  REQUIRE(ours);
  auto theirs = SharedState::map(UniqueFd(dup(ours->fd())));
  REQUIRE(theirs);
  REQUIRE(theirs->health().size() == 4);
  REQUIRE(theirs->tickets().size() == 4);
  for (std::uint32_t i = 0; i < 3; ++i) theirs->slot(i).counters.add(Counter::answers, i + 1);
  for (std::uint8_t i = 0; i < 4; ++i) {
    theirs->health()[i].verdict = i + 10U;
    theirs->health()[i].idle_close_ms = i + 20U;
    theirs->tickets()[i].put(Octets(TicketPool::kMaxTicketBytes, i), 2);
  }
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(ours->slot(i).counters.get(Counter::answers) == i + 1);
  for (std::uint8_t i = 0; i < 4; ++i) {
    CHECK(ours->health()[i].verdict == i + 10U);
    CHECK(ours->health()[i].idle_close_ms == i + 20U);
    CHECK(taken(ours->tickets()[i], 1) == Octets(TicketPool::kMaxTicketBytes, i));
    CHECK(taken(theirs->tickets()[i], 2).empty());
  }
}

TEST_CASE("each worker has its own connections to each address, and they are forgotten when it ends") {
  auto ours = SharedState::create(3, 4);
  REQUIRE(ours);
  auto theirs = SharedState::map(UniqueFd(dup(ours->fd())));
  REQUIRE(theirs);
  REQUIRE(theirs->connections().size() == 12);
  for (std::uint32_t i = 0; i < 12; ++i) {
    theirs->connections()[i].ready_since = i + 1;
    theirs->connections()[i].dialling_since = i + 100;
  }
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(ours->memory()[i] == 0);
  for (std::uint32_t i = 0; i < 4; ++i) CHECK(ours->health()[i].verdict == 0);
  ours->worker_ended(2);
  for (std::uint32_t i = 0; i < 12; ++i) {
    const bool ended = i >= 4 && i < 8;
    CHECK(theirs->connections()[i].ready_since == (ended ? 0 : i + 1));
    CHECK(theirs->connections()[i].dialling_since == (ended ? 0 : i + 100));
  }
}

TEST_CASE("parts do not share a cache line") {
  auto state = SharedState::create(2, 3);
  REQUIRE(state);
  CHECK(reinterpret_cast<std::uintptr_t>(&state->slot(1)) % 64 == 0);
  CHECK(sizeof(WorkerSlot) % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(state->health().data()) % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(state->tickets().data()) % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(state->connections().data()) % 64 == 0);
}

TEST_CASE("the memory outlives the move of its owner") {
  auto state = SharedState::create(1, 1);
  REQUIRE(state);
  SharedState moved = std::move(*state);
  moved.slot(0).heartbeat = 1;
  moved.worker_ended(1);
  CHECK(moved.workers() == 1);
}

TEST_CASE("a worker that writes over the header leads no process astray") {
  auto state = SharedState::create(3, 2);
  REQUIRE(state);
  WorkerSlot* const slot = &state->slot(2);
  SharedHealth* const health = state->health().data();
  const std::uint32_t nonsense[7] = {1, 2, 1'000'000, 1'000'000, 5, 6, 7};
  REQUIRE(pwrite(state->fd(), nonsense, sizeof nonsense, 0) == sizeof nonsense);
  CHECK(state->workers() == 3);
  CHECK(&state->slot(2) == slot);
  CHECK(state->health().data() == health);
  CHECK(state->health().size() == 2);
  CHECK(state->tickets().size() == 2);
  state->worker_ended(1);
}

TEST_CASE("no process can take the memory away from another") {
  auto state = SharedState::create(3, 2);
  REQUIRE(state);
  const off_t size = lseek(state->fd(), 0, SEEK_END);
  CHECK(ftruncate(state->fd(), 0) != 0);
  CHECK(ftruncate(state->fd(), size * 2) != 0);
  CHECK(lseek(state->fd(), 0, SEEK_END) == size);
  state->slot(2).heartbeat = 1;
  CHECK(state->slot(2).heartbeat == 1);
}

TEST_CASE("memory that could be cut off, as versions before the seals made it, is of another version") {
  auto good = SharedState::create(4, 2);
  REQUIRE(good);
  std::vector<char> content(static_cast<std::size_t>(lseek(good->fd(), 0, SEEK_END)));
  REQUIRE(pread(good->fd(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  UniqueFd unsealed(memfd_create("unsealed", MFD_ALLOW_SEALING));
  REQUIRE(write(unsealed.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  CHECK_FALSE(SharedState::map(UniqueFd(dup(unsealed.get()))));
  REQUIRE(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  CHECK(SharedState::map(std::move(unsealed)));
}

TEST_CASE("what is not our memory is refused") {
  const auto text = "the shared memory belongs to another version of dotrelay";
  CHECK_FALSE(SharedState::map(UniqueFd()));
  UniqueFd empty(memfd_create("empty", 0));
  CHECK_FALSE(SharedState::map(std::move(empty)));
  UniqueFd zeros(memfd_create("zeros", 0));
  REQUIRE(ftruncate(zeros.get(), 1 << 16) == 0);
  CHECK(SharedState::map(std::move(zeros)).error().message == text);

  auto good = SharedState::create(4, 2);
  REQUIRE(good);
  std::uint32_t header[7] = {};
  REQUIRE(pread(good->fd(), header, sizeof header, 0) == sizeof header);
  const auto map_with = [&](std::size_t field, std::uint32_t value, off_t size) {
    std::uint32_t changed[7];
    std::copy_n(header, 7, changed);
    changed[field] = value;
    UniqueFd fd(memfd_create("changed", MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(fd.get(), size) == 0);
    REQUIRE(pwrite(fd.get(), changed, sizeof changed, 0) == sizeof changed);
    REQUIRE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    return SharedState::map(std::move(fd));
  };
  const off_t size = lseek(good->fd(), 0, SEEK_END);
  CHECK(map_with(0, header[0], size));
  CHECK_FALSE(map_with(0, header[0], size - 1));
  CHECK_FALSE(map_with(2, 5, size));
  CHECK_FALSE(map_with(2, 0, size));
  CHECK_FALSE(map_with(3, 3, size));
  for (const std::size_t field : {1U, 4U, 5U, 6U}) CHECK_FALSE(map_with(field, header[field] + 1, size));
  for (const std::size_t field : {2U, 3U}) CHECK_FALSE(map_with(field, UINT32_MAX, size));
}

}  // namespace
}  // namespace dotrelay
