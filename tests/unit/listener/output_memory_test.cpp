// Memory for answers that goes round, and is counted wherever it is.
#include "listener/output_memory.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

/// A budget of some memory, and the memory that is lent.
struct Lender {
  explicit Lender(std::uint32_t chunks = 256) : budget(words, 0, chunks) {}

  std::vector<SharedWord> words = std::vector<SharedWord>(1);
  MemoryBudget budget;
  OutputMemory memory{budget};
};

/// An empty queue with memory for `octets`.
ByteQueue queue_of(std::size_t octets) {
  ByteQueue queue;
  queue.extend(octets);
  queue.clear();
  return queue;
}

TEST_CASE("what one has used goes to the next") {
  Lender lender;
  ByteQueue first = queue_of(1000);
  const std::size_t bytes = first.memory_bytes();
  lender.memory.take_back(first);
  CHECK(first.memory_bytes() == 0);
  CHECK(lender.memory.spare_bytes() == bytes);
  CHECK(lender.budget.used() == bytes);

  ByteQueue second;
  lender.memory.lend(second);
  CHECK(second.empty());
  CHECK(second.memory_bytes() == bytes);
  CHECK(lender.budget.used() == 0);  // its owner counts it now

  ByteQueue third;
  lender.memory.lend(third);
  CHECK(third.memory_bytes() == 0);
}

TEST_CASE("a queue that has memory gets no other") {
  Lender lender;
  ByteQueue spare = queue_of(1000);
  lender.memory.take_back(spare);
  ByteQueue queue = queue_of(64);
  lender.memory.lend(queue);
  CHECK(queue.memory_bytes() == 64);
  CHECK(lender.memory.spare_bytes() >= 1000);
}

TEST_CASE("no more is kept than the limits allow") {
  Lender lender;
  for (std::size_t i = 0; i < OutputMemory::kMaxSpare + 10; ++i) {
    ByteQueue queue = queue_of(64);
    lender.memory.take_back(queue);
    CHECK(queue.memory_bytes() == 0);
  }
  CHECK(lender.memory.spare_bytes() == 64 * OutputMemory::kMaxSpare);
  CHECK(lender.memory.release());

  ByteQueue small = queue_of(100);
  lender.memory.take_back(small);
  ByteQueue large = queue_of(OutputMemory::kMaxSpareBytes);
  lender.memory.take_back(large);
  CHECK(large.memory_bytes() == 0);
  CHECK(lender.memory.spare_bytes() < 200);
}

TEST_CASE("nothing is kept when the budget has no room") {
  Lender lender(MemoryBudget::kMinChunksPerWorker);
  REQUIRE(lender.budget.take(MemoryBudget::kMinChunksPerWorker * MemoryBudget::kChunkBytes));
  ByteQueue queue = queue_of(1000);
  lender.memory.take_back(queue);
  CHECK(queue.memory_bytes() == 0);
  CHECK(lender.memory.spare_bytes() == 0);
}

TEST_CASE("what no client uses is released on request, and at the end") {
  Lender lender;
  CHECK_FALSE(lender.memory.release());
  ByteQueue queue = queue_of(1000);
  lender.memory.take_back(queue);
  CHECK(lender.memory.release());
  CHECK(lender.budget.used() == 0);
  CHECK_FALSE(lender.memory.release());
  {
    OutputMemory other(lender.budget);
    queue = queue_of(1000);
    other.take_back(queue);
    CHECK(lender.budget.used() > 0);
  }
  CHECK(lender.budget.used() == 0);
}

}  // namespace
}  // namespace dotrelay
