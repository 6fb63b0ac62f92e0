// Buckets: which slot a new entry gets, which one goes when there is none, and claims of a refresh.
#include "cache/cache_index.hpp"

#include "cache/cache_entry.hpp"
#include "cache_fixture.hpp"

#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

using test::CacheBlock;

/// Hashes of the first bucket, with a tag of their own each.
std::uint64_t hash(std::uint32_t number) { return std::uint64_t{number} << 32 | (number * 7 + 1); }

/// An entry's place, and as much of it as the index looks at.
std::uint32_t commit(const CacheMemory& memory, std::uint64_t hash, std::uint32_t place) {
  const std::uint32_t at = place * CacheLayout::kUnitWords;
  memory.log(at)->store(static_cast<std::uint32_t>(hash) ^ stamp_of(0, memory.epoch()));
  return at;
}

std::set<std::uint32_t> places_of(const CacheIndex& index, const CacheMemory& memory, std::uint64_t hash) {
  std::set<std::uint32_t> places;
  for (std::uint32_t i = 0; i < CacheIndex::kSlots; ++i) {
    if (const auto at = index.log_word(memory.bucket(hash)[i], hash)) places.insert(*at / CacheLayout::kUnitWords);
  }
  return places;
}

TEST_CASE("a hash leads to its entry, and to the newer one from then on") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  CacheIndex index(memory);
  CHECK(places_of(index, memory, hash(1)).empty());
  index.lead(hash(1), commit(memory, hash(1), 0));
  index.lead(hash(2), commit(memory, hash(2), 5));
  CHECK(places_of(index, memory, hash(1)) == std::set<std::uint32_t>{0});
  index.lead(hash(1), commit(memory, hash(1), 9));
  CHECK(places_of(index, memory, hash(1)) == std::set<std::uint32_t>{9});
  CHECK(places_of(index, memory, hash(2)) == std::set<std::uint32_t>{5});
}

TEST_CASE("two hashes of one tag have a slot each") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  CacheIndex index(memory);
  const std::uint64_t other = hash(1) + 1;
  index.lead(hash(1), commit(memory, hash(1), 1));
  index.lead(other, commit(memory, other, 2));
  CHECK(places_of(index, memory, hash(1)) == std::set<std::uint32_t>{1, 2});
}

TEST_CASE("a hash that got two slots keeps one") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  CacheIndex index(memory);
  index.lead(hash(1), commit(memory, hash(1), 1));
  // As if another worker had not yet seen the slot above.
  SharedWord* const bucket = memory.bucket(hash(1));
  std::uint32_t from = 0;
  while (bucket[from] == 0) ++from;
  bucket[(from + 7) % CacheIndex::kSlots].store(bucket[from]);
  index.lead(hash(1), commit(memory, hash(1), 3));
  CHECK(places_of(index, memory, hash(1)) == std::set<std::uint32_t>{3});
}

TEST_CASE("a full bucket loses an entry that was not asked for") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  CacheIndex index(memory);
  for (std::uint32_t i = 0; i < CacheIndex::kSlots; ++i) index.lead(hash(i), commit(memory, hash(i), i));
  for (std::uint32_t i = 0; i < CacheIndex::kSlots; ++i) {
    if (i == 6) continue;
    const Slot slot = index.slot_of(hash(i), i * CacheLayout::kUnitWords);
    REQUIRE(slot.word != nullptr);
    CHECK_FALSE(slot.asked_for);
    index.count_hit(*slot.word, slot.seen);
    CHECK(index.slot_of(hash(i), i * CacheLayout::kUnitWords).asked_for);
  }
  index.lead(hash(100), commit(memory, hash(100), 100));
  CHECK(places_of(index, memory, hash(6)).empty());
  CHECK(places_of(index, memory, hash(100)) == std::set<std::uint32_t>{100});
  // The new one was not asked for; once it was, each is as good as another, and one goes all the same.
  const Slot slot = index.slot_of(hash(100), 100 * CacheLayout::kUnitWords);
  index.count_hit(*slot.word, slot.seen);
  index.lead(hash(101), commit(memory, hash(101), 101));
  CHECK(places_of(index, memory, hash(101)) == std::set<std::uint32_t>{101});
}

TEST_CASE("a slot that changes while it is looked at stays as it is") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  CacheIndex index(memory);
  index.lead(hash(1), commit(memory, hash(1), 4));
  const Slot before = index.slot_of(hash(1), 4 * CacheLayout::kUnitWords);
  index.count_hit(*before.word, before.seen);
  index.forget(before);
  CHECK_FALSE(index.move(before, hash(1), 0));
  const Slot now = index.slot_of(hash(1), 4 * CacheLayout::kUnitWords);
  CHECK(now.asked_for);
  CHECK(index.move(now, hash(1), 0));
  const Slot moved = index.slot_of(hash(1), 0);
  CHECK(moved.word == before.word);
  CHECK_FALSE(moved.asked_for);
  index.forget(moved);
  CHECK(index.slot_of(hash(1), 0).word == nullptr);
  index.forget({});
}

TEST_CASE("slots that lead out of the log lead nowhere") {
  const CacheBlock block(kMinCacheBytes);
  const CacheMemory memory = block.attach();
  const CacheIndex index(memory);
  const std::uint32_t units = memory.layout().units();
  CHECK_FALSE(index.log_word(0, 0));
  CHECK(index.log_word(1, 0) == 0);
  CHECK(index.log_word(units, 0) == (units - 1) * CacheLayout::kUnitWords);
  CHECK_FALSE(index.log_word(units + 1, 0));
  CHECK_FALSE(index.log_word((1U << memory.layout().unit_bits) - 1, 0));
}

TEST_CASE("one worker of all has the claim, for 5 s") {
  const CacheBlock block(kMinCacheBytes);
  const CacheIndex mine(block.attach());
  const CacheIndex other(block.attach());
  CHECK(mine.claim(hash(1), 1000, 5));
  CHECK_FALSE(mine.claim(hash(1), 1000, 5));
  CHECK_FALSE(other.claim(hash(1), 1004, 5));
  CHECK_FALSE(other.claim(hash(1), 999, 5));  // its clock was read a moment earlier
  CHECK(other.claim(hash(1), 1005, 5));
  CHECK_FALSE(mine.claim(hash(1), 1006, 5));
}

TEST_CASE("claims where the seconds begin again, in the word and at all") {
  const CacheBlock block(kMinCacheBytes);
  const CacheIndex index(block.attach());
  for (const std::uint32_t second : {0xffffU, 0x1fffeU, UINT32_MAX}) {
    const std::uint64_t own = hash(second % 100);
    CHECK(index.claim(own, second, 5));
    CHECK_FALSE(index.claim(own, second + 4, 5));
    CHECK(index.claim(own, second + 5, 5));
  }
}

}  // namespace
}  // namespace dotrelay
