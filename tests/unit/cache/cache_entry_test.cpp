// The arithmetic of an entry: its size in the log, its age, and when it is none.
#include "cache/cache_entry.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

EntryHeader header() {
  return {.commit = 7,
          .hash_low = 1,
          .hash_high = 2,
          .stored_at = 100,
          .lifetime_seconds = 60,
          .message_size = 45,
          .ttl_count = 1,
          .zone = 3,
          .flags = 5,
          .kind = 9};
}

TEST_CASE("an entry takes whole units") {
  EntryHeader entry = header();
  CHECK(entry.message_at() == 8);
  CHECK(entry.words() == 20);
  entry.ttl_count = 2;
  CHECK(entry.message_at() == 8);
  entry.ttl_count = 3;
  CHECK(entry.message_at() == 9);
  CHECK(entry.words() == 24);  // 9 and 12 words are 21
  entry.message_size = kMaxCachedMessage;
  entry.ttl_count = kMaxCachedTtls;
  CHECK(entry.words() == kMaxEntryWords);
}

TEST_CASE("sizes that are never written") {
  EntryHeader entry = header();
  CHECK(entry.plausible());
  entry.message_size = 16;
  CHECK_FALSE(entry.plausible());
  entry.message_size = kMaxCachedMessage + 1;
  CHECK_FALSE(entry.plausible());
  entry.message_size = kMaxCachedMessage;
  entry.ttl_count = kMaxCachedTtls + 1;
  CHECK_FALSE(entry.plausible());
}

TEST_CASE("the header is read as it was written, and the commit word is not written with it") {
  std::vector<SharedWord> words(EntryHeader::kWords);
  words[0] = 42;
  write_header(header(), words.data());
  const EntryHeader read = read_header(words.data());
  CHECK(read.commit == 42);
  CHECK(read.hash() == 0x0000000200000001);
  CHECK(read.stored_at == 100);
  CHECK(read.lifetime_seconds == 60);
  CHECK(read.message_size == 45);
  CHECK(read.ttl_count == 1);
  CHECK(read.zone == 3);
  CHECK(read.flags == 5);
  CHECK(read.kind == 9);
}

TEST_CASE("the age does not mind that seconds begin again, nor a clock that was read earlier") {
  EntryHeader entry = header();
  CHECK(entry.age(100) == 0);
  CHECK(entry.age(159) == 59);
  CHECK(entry.useful(159, 0));
  CHECK_FALSE(entry.useful(160, 0));
  CHECK(entry.useful(160, 1));
  CHECK(entry.age(98) == 0);
  entry.stored_at = UINT32_MAX - 9;
  CHECK(entry.age(10) == 20);
  CHECK(entry.useful(49, 0));
  CHECK_FALSE(entry.useful(50, 0));
  entry.lifetime_seconds = UINT32_MAX;
  CHECK(entry.useful(1'000'000'000, 3600));
}

TEST_CASE("an entry is committed for one life and one epoch") {
  EntryHeader entry = header();
  entry.commit = entry.hash_low ^ stamp_of(4, 1);
  CHECK(entry.committed(stamp_of(4, 1)));
  CHECK_FALSE(entry.committed(stamp_of(6, 1)));
  CHECK_FALSE(entry.committed(stamp_of(4, 2)));
  // Zeros, as memory has them that was never written.
  CHECK_FALSE(EntryHeader{}.committed(stamp_of(0, 1)));
}

}  // namespace
}  // namespace dotrelay
