// The memory that supervisor and workers share: what one writes the other reads, and foreign memory is refused.
#include "process/shared_state.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dotrelay {
namespace {

TEST_CASE("two mappings see each other's slots") {
  auto ours = SharedState::create(3);
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

TEST_CASE("slots do not share a cache line") {
  auto state = SharedState::create(2);
  REQUIRE(state);
  CHECK(reinterpret_cast<std::uintptr_t>(&state->slot(1)) % 64 == 0);
  CHECK(sizeof(WorkerSlot) % 64 == 0);
}

TEST_CASE("the memory outlives the move of its owner") {
  auto state = SharedState::create(1);
  REQUIRE(state);
  SharedState moved = std::move(*state);
  moved.slot(0).heartbeat = 1;
  CHECK(moved.workers() == 1);
}

TEST_CASE("what is not our memory is refused") {
  CHECK_FALSE(SharedState::map(UniqueFd()));
  UniqueFd empty(memfd_create("empty", 0));
  CHECK_FALSE(SharedState::map(std::move(empty)));
  UniqueFd zeros(memfd_create("zeros", 0));
  REQUIRE(ftruncate(zeros.get(), 1 << 16) == 0);
  CHECK(SharedState::map(std::move(zeros)).error().message ==
        "the shared memory belongs to another version of dotrelay");
  auto good = SharedState::create(4);
  UniqueFd cut(dup(good->fd()));
  UniqueFd small(memfd_create("small", 0));
  char head[4096] = {};
  REQUIRE(pread(cut.get(), head, sizeof head, 0) > 0);
  REQUIRE(ftruncate(small.get(), static_cast<off_t>(sizeof(WorkerSlot) * 3)) == 0);
  REQUIRE(pwrite(small.get(), head, 16, 0) == 16);
  CHECK_FALSE(SharedState::map(std::move(small)));
}

}  // namespace
}  // namespace dotrelay
