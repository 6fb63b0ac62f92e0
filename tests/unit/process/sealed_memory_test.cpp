// Memory that processes share: it is zero at first, the same in each mapping, and cannot be cut off.
#include "process/sealed_memory.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dotrelay {
namespace {

TEST_CASE("zero at first, and what one mapping writes the other reads") {
  auto memory = SealedMemory::create(100'000);
  REQUIRE(memory);
  CHECK(memory->octets().size() == 100'000);
  CHECK(std::ranges::all_of(memory->octets(), [](std::byte octet) { return octet == std::byte{0}; }));
  const auto other = SealedMemory::map(UniqueFd(dup(memory->fd())));
  REQUIRE(other);
  memory->octets()[99'999] = std::byte{7};
  REQUIRE(other->octets().size() == 100'000);
  CHECK(other->octets()[99'999] == std::byte{7});
}

TEST_CASE("a moved one keeps the mapping, and only one unmaps it") {
  auto memory = SealedMemory::create(4096);
  REQUIRE(memory);
  const SealedMemory moved = std::move(*memory);
  CHECK(memory->octets().empty());
  moved.octets()[0] = std::byte{1};
  CHECK(moved.octets()[0] == std::byte{1});
}

TEST_CASE("its size cannot be changed") {
  auto memory = SealedMemory::create(4096);
  REQUIRE(memory);
  CHECK(ftruncate(memory->fd(), 0) != 0);
  CHECK(ftruncate(memory->fd(), 8192) != 0);
}

TEST_CASE("no memory, empty memory and memory that could be cut off are refused") {
  CHECK_FALSE(SealedMemory::map(UniqueFd()));
  CHECK_FALSE(SealedMemory::map(UniqueFd(memfd_create("empty", MFD_ALLOW_SEALING))));
  UniqueFd unsealed(memfd_create("unsealed", MFD_ALLOW_SEALING));
  REQUIRE(ftruncate(unsealed.get(), 4096) == 0);
  CHECK_FALSE(SealedMemory::map(UniqueFd(dup(unsealed.get()))));
  REQUIRE(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  CHECK(SealedMemory::map(std::move(unsealed)));
}

}  // namespace
}  // namespace dotrelay
