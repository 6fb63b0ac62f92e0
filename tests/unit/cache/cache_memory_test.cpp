// What a process accepts as a cache's memory, and that nothing is written that is not used.
#include "cache/cache_memory.hpp"

#include "cache_fixture.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

using test::CacheBlock;

TEST_CASE("who attaches knows key and epoch of the memory") {
  const CacheBlock block(kMinCacheBytes);
  const auto memory = CacheMemory::attach(block.octets());
  REQUIRE(memory);
  CHECK(memory->hash_key().first == CacheBlock::kHashKey.first);
  CHECK(memory->hash_key().second == CacheBlock::kHashKey.second);
  CHECK(memory->epoch() == 1);
  CHECK(CacheMemory(*memory).begin_epoch() == 2);
  CHECK(memory->epoch() == 1);
  CHECK(block.attach().epoch() == 2);
  CHECK(block.attach().at_epoch(1).epoch() == 1);
}

TEST_CASE("format writes the header only") {
  const CacheBlock block(kMinCacheBytes);
  const Bytes rest = Bytes(block.octets()).subspan(CacheLayout::kHeaderWords * 4);
  CHECK(std::ranges::all_of(rest, [](std::uint8_t octet) { return octet == 0; }));
}

TEST_CASE("memory of another version, of another size, or of nothing is refused") {
  const CacheBlock block(2 * kMinCacheBytes);
  CHECK(CacheMemory::attach(block.octets().first(kMinCacheBytes)).error().message ==
        "the answer cache's memory was made for another size");
  CHECK_FALSE(CacheMemory::attach(block.octets().first(kMinCacheBytes - 64)));
  CHECK_FALSE(CacheMemory::attach(block.octets().first(kMinCacheBytes + 4)));

  block.words()[1] = block.words()[1] + 1;
  CHECK(CacheMemory::attach(block.octets()).error().message ==
        "the answer cache's memory belongs to another version of dotrelay");
  block.words()[1] = block.words()[1] - 1;
  CHECK(CacheMemory::attach(block.octets()));
  block.words()[0] = 0;
  CHECK_FALSE(CacheMemory::attach(block.octets()));
}

TEST_CASE("buckets are within the index, parts of a segment beside each other") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  const SharedWord* const words = block.words().data();
  CHECK(memory.bucket(0) == words + memory.layout().index_at);
  CHECK(memory.bucket(UINT64_MAX) + CacheLayout::kBucketWords == words + memory.layout().log_at);
  CHECK(&memory.generation(0) == &memory.owner(0) + 1);
  CHECK(&memory.segment_epoch(memory.layout().segments - 1) < memory.bucket(0));
  CHECK(memory.log(0) == words + memory.layout().log_at);
}

}  // namespace
}  // namespace dotrelay
