// The bounded reader and writer: nothing is read past the end, nothing written over it, and a failure stays one.
#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

using Octets = std::vector<std::uint8_t>;

TEST_CASE("integers are big-endian") {
  const Octets data = {0x01, 0x02, 0x03, 0xfe, 0xdc, 0xba, 0x98};
  ByteReader reader(data);
  CHECK(reader.u8() == 0x01);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.u32() == 0xfedcba98);
  CHECK(reader.at_end());
  CHECK(reader.remaining() == 0);
  CHECK_FALSE(reader.failed());

  std::array<std::uint8_t, 7> written;
  ByteWriter writer(written);
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0xfedcba98);
  CHECK(equal(writer.written(), data));
  CHECK_FALSE(writer.failed());

  std::array<std::uint8_t, 2> pair;
  store_u16(pair.data(), 0xabcd);
  CHECK(load_u16(pair.data()) == 0xabcd);
}

TEST_CASE("a read past the end yields zero or nothing, and the reader stays failed") {
  const Octets data = {1, 2, 3};
  SUBCASE("two octets where one is left") {
    ByteReader reader(data, 2);
    CHECK(reader.u16() == 0);
    CHECK(reader.failed());
    CHECK(reader.u8() == 0);
    CHECK(reader.offset() == 2);
  }
  SUBCASE("four octets where three are left") {
    ByteReader reader(data);
    // The upper half could be read; the whole could not.
    reader.u32();
    CHECK(reader.failed());
  }
  SUBCASE("a count that would wrap an offset") {
    ByteReader reader(data, 1);
    CHECK(reader.take(SIZE_MAX).empty());
    CHECK(reader.failed());
    CHECK(reader.take(0).empty());
    CHECK(reader.failed());
  }
  SUBCASE("a start behind the end") {
    ByteReader reader(data, 4);
    CHECK(reader.failed());
    CHECK(reader.remaining() == 0);
    CHECK(reader.u8() == 0);
  }
  SUBCASE("no data at all") {
    ByteReader reader({});
    CHECK(reader.at_end());
    CHECK_FALSE(reader.failed());
    CHECK(reader.u8() == 0);
    CHECK(reader.failed());
  }
}

TEST_CASE("take yields the octets themselves, and taking none at the end is no failure") {
  const Octets data = {1, 2, 3};
  ByteReader reader(data);
  const Bytes taken = reader.take(3);
  CHECK(taken.data() == data.data());
  CHECK(taken.size() == 3);
  CHECK(reader.take(0).empty());
  CHECK_FALSE(reader.failed());
}

TEST_CASE("a write that does not fit writes nothing, and the writer stays failed") {
  std::array<std::uint8_t, 4> buffer = {9, 9, 9, 9};
  ByteWriter writer(MutableBytes(buffer).first(3));
  writer.u16(0x0102);
  writer.u16(0x0304);
  CHECK(writer.failed());
  CHECK(writer.size() == 2);
  writer.u8(5);
  CHECK(writer.size() == 2);
  CHECK(buffer == std::array<std::uint8_t, 4>{1, 2, 9, 9});
}

TEST_CASE("spans that hold no memory are equal, are put and are made room for") {
  CHECK(equal({}, {}));
  CHECK_FALSE(equal({}, Octets{1}));
  CHECK_FALSE(equal(Octets{1, 2}, Octets{1, 3}));
  ByteWriter writer({});
  writer.put({});
  writer.zeros(0);
  CHECK(writer.reserve(0).empty());
  CHECK_FALSE(writer.failed());
  CHECK(writer.reserve(1).empty());
  CHECK(writer.failed());
}

TEST_CASE("reserve gives exactly the next octets") {
  std::array<std::uint8_t, 4> buffer = {9, 9, 9, 9};
  ByteWriter writer(buffer);
  writer.u8(1);
  const MutableBytes room = writer.reserve(3);
  CHECK(room.data() == &buffer[1]);
  CHECK(room.size() == 3);
  CHECK(writer.size() == 4);
}

TEST_CASE("the rest of a reader is what was not read yet") {
  const Octets data = {1, 2, 3};
  ByteReader reader(data);
  reader.u8();
  CHECK(reader.rest().data() == &data[1]);
  CHECK(reader.rest().size() == 2);
  reader.take(2);
  CHECK(reader.rest().empty());
  CHECK(ByteReader({}).rest().empty());
}

TEST_CASE("words are loaded and stored whole or in part, and no octet more is touched") {
  for (std::size_t size = 0; size <= 12; ++size) {
    CAPTURE(size);
    // As large as the octets that may be read, so that a sanitizer notices when there are more.
    Octets data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(0xa0 + i);
    const std::uint64_t word = load_word(data.data(), size);
    std::array<std::uint8_t, 12> stored;
    stored.fill(9);
    store_word(stored.data(), size, word);
    for (std::size_t i = 0; i < stored.size(); ++i)
      CHECK(stored[i] == (i < std::min<std::size_t>(size, 8) ? data[i] : 9));
    std::array<std::uint8_t, 8> whole;
    store_word(whole.data(), whole.size(), word);
    for (std::size_t i = size; i < whole.size(); ++i) CHECK(whole[i] == 0);
  }
}

TEST_CASE("zeros and put fill exactly their room") {
  std::array<std::uint8_t, 4> buffer = {9, 9, 9, 9};
  ByteWriter writer(buffer);
  writer.zeros(2);
  writer.put(Octets{7});
  CHECK(equal(writer.written(), Octets{0, 0, 7}));
  writer.zeros(2);
  CHECK(writer.failed());
  CHECK(buffer[3] == 9);
  writer.put({});
  CHECK(writer.failed());
}

}  // namespace
}  // namespace dotrelay
