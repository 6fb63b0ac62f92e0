// The parts of the cache's memory lie behind each other, for every size.
#include "cache/cache_layout.hpp"

#include "cache/cache_entry.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

void check_layout(std::size_t bytes) {
  CAPTURE(bytes);
  const CacheLayout layout(bytes);
  REQUIRE(layout.segments >= 3);
  REQUIRE(std::has_single_bit(layout.segment_words));
  REQUIRE(layout.segment_words / 2 >= kMaxEntryWords - kMaxEntryWords / 2);
  REQUIRE(layout.segment_words > kMaxEntryWords);
  REQUIRE(layout.index_at >= CacheLayout::kHeaderWords + layout.segments * CacheLayout::kSegmentWords);
  REQUIRE(layout.index_at % CacheLayout::kBucketWords == 0);
  REQUIRE(layout.log_at == layout.index_at + layout.buckets * CacheLayout::kBucketWords);
  const std::uint64_t end = layout.log_at + std::uint64_t{layout.segments} * layout.segment_words;
  REQUIRE(end * 4 <= bytes);
  // Not more is left over than half a segment would use, but where a segment is much of the whole.
  if (bytes >= (std::size_t{1} << 20)) REQUIRE(bytes - end * 4 <= bytes / 50);
  const std::uint64_t units = layout.units();
  REQUIRE(units < std::uint64_t{1} << layout.unit_bits);
  REQUIRE(layout.unit_bits <= 26);  // what is left of a slot: 2 bits for hits, 4 for the tag
}

TEST_CASE("the parts fit the memory") {
  for (std::size_t bytes = kMinCacheBytes; bytes <= kMaxCacheBytes; bytes += 64 + bytes / 1000 / 64 * 64) {
    check_layout(bytes);
  }
  check_layout(kMaxCacheBytes);
}

TEST_CASE("sizes that people choose") {
  CHECK(CacheLayout(kMinCacheBytes).segments == 3);
  CHECK(CacheLayout(std::size_t{256} << 10).segments == 30);
  CHECK(CacheLayout(std::size_t{1} << 20).segments == 60);
  CHECK(CacheLayout(std::size_t{1} << 20).segment_words * 4 == 16384);
  CHECK(CacheLayout(kMaxCacheBytes).segment_words * 4 == 128 * 1024);
}

}  // namespace
}  // namespace dotrelay
