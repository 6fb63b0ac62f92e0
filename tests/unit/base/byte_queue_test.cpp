// The byte queue against a plain model, and the hand-over of memory that a stream's reads and writes rely on.
#include "base/byte_queue.hpp"

#include "base/random.hpp"

#include <deque>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using Octets = std::vector<std::uint8_t>;

TEST_CASE("first in, first out, always contiguous") {
  ByteQueue queue;
  CHECK(queue.empty());
  queue.append(Octets{1, 2, 3});
  queue.append(Octets{4});
  CHECK(queue.size() == 4);
  CHECK(equal(queue.bytes(), Octets{1, 2, 3, 4}));
  queue.consume(2);
  CHECK(equal(queue.bytes(), Octets{3, 4}));
  queue.append(Octets{5, 6});
  CHECK(equal(queue.bytes(), Octets{3, 4, 5, 6}));
  queue.mutable_bytes()[0] = 9;
  CHECK(queue.bytes()[0] == 9);
  queue.clear();
  CHECK(queue.empty());
  CHECK(queue.bytes().empty());
}

TEST_CASE("extend gives room at the end, trim takes back what was not filled") {
  ByteQueue queue;
  queue.append(Octets{1});
  const MutableBytes room = queue.extend(4);
  REQUIRE(room.size() == 4);
  room[0] = 2;
  room[1] = 3;
  queue.trim(2);
  CHECK(equal(queue.bytes(), Octets{1, 2, 3}));
  queue.trim(3);
  CHECK(queue.empty());
}

TEST_CASE("a moved queue takes its memory along") {
  ByteQueue queue;
  queue.append(Octets{1, 2});
  ByteQueue other(std::move(queue));
  CHECK(equal(other.bytes(), Octets{1, 2}));
  other.clear();
  ByteQueue third;
  third = std::move(other);
  CHECK(third.empty());
  CHECK(third.memory_bytes() > 0);
}

TEST_CASE("a queue emptied by trim behind a consumed front can be shrunk and used again") {
  ByteQueue queue;
  queue.append(Octets{1, 2});
  queue.extend(3);
  queue.consume(2);
  queue.trim(3);
  REQUIRE(queue.empty());
  queue.shrink(0);
  CHECK(queue.empty());
  CHECK(queue.size() == 0);
  queue.append(Octets{7});
  CHECK(equal(queue.bytes(), Octets{7}));
}

TEST_CASE("a long queue holds little more memory than octets, also while its front is read") {
  ByteQueue queue;
  for (int i = 0; i < 5000; ++i) {
    queue.append(Octets(100, 1));
    if (i % 3 == 0) queue.consume(100);
    if (queue.size() > 20'000) REQUIRE(queue.memory_bytes() <= queue.size() * 3 / 2);
  }
}

TEST_CASE("any order of calls gives what a plain model gives") {
  Random random(7);
  ByteQueue queue;
  std::deque<std::uint8_t> model;
  std::uint8_t next = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t count = random.below(40);
    switch (random.below(5)) {
      case 0: {
        Octets octets(count);
        for (std::uint8_t& octet : octets) model.push_back(octet = next++);
        queue.append(octets);
        break;
      }
      case 1: {
        const MutableBytes room = queue.extend(count);
        const std::size_t used = random.below(static_cast<std::uint32_t>(count) + 1);
        for (std::size_t i = 0; i < used; ++i) model.push_back(room[i] = next++);
        queue.trim(count - used);
        break;
      }
      case 4:
        if (queue.empty()) queue.shrink(0);
        break;
      default: {
        const std::size_t taken = std::min(2 * count, model.size());
        queue.consume(taken);
        model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(taken));
      }
    }
    REQUIRE(queue.size() == model.size());
    REQUIRE(std::ranges::equal(queue.bytes(), model));
  }
}

}  // namespace
}  // namespace dotrelay
