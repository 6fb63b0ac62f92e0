// What workers say to each other: there and back, and nothing that a worker running wild can write is taken for it.
#include "upstream/sibling_record.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

using Octets = std::vector<std::uint8_t>;
using Kind = SiblingRecord::Kind;

Octets written(const SiblingRecord& record) {
  const auto head = record.head();
  Octets octets(head.begin(), head.end());
  octets.insert(octets.end(), record.message.begin(), record.message.end());
  return octets;
}

TEST_CASE("records come back as they were") {
  const Octets message(300, 7);
  for (const Kind kind : {Kind::query, Kind::answer, Kind::refused, Kind::closed, Kind::left, Kind::died}) {
    const bool carries = kind == Kind::query || kind == Kind::answer;
    const Octets octets = written({kind, 0x1234, 0xfedcba98, 0x0102, carries ? Bytes(message) : Bytes()});
    const auto record = SiblingRecord::read(octets);
    REQUIRE(record);
    CHECK(record->kind == kind);
    CHECK(record->worker == 0x1234);
    CHECK(record->link == 0xfedcba98);
    CHECK(record->address == 0x0102);
    CHECK(equal(record->message, carries ? Bytes(message) : Bytes()));
  }
  CHECK(SiblingRecord::read(written({Kind::answer, 1, 1, 0, Octets(65535)})));
  CHECK(SiblingRecord::read(written({Kind::answer, 1, 1, 0, Octets(2)})));
}

TEST_CASE("anything else is refused") {
  CHECK_FALSE(SiblingRecord::read({}));
  const Octets query = written({Kind::query, 1, 1, 0, Octets(12)});
  CHECK(SiblingRecord::read(query));
  for (std::size_t size = 0; size < query.size(); ++size) CHECK_FALSE(SiblingRecord::read(Bytes(query).first(size)));
  for (const std::uint8_t kind : {0, 7, 255}) {
    Octets changed = query;
    changed[0] = kind;
    CHECK_FALSE(SiblingRecord::read(changed));
  }
  CHECK_FALSE(SiblingRecord::read(written({Kind::query, 0, 1, 0, Octets(12)})));
  CHECK_FALSE(SiblingRecord::read(written({Kind::answer, 1, 1, 0, Octets(1)})));
  CHECK_FALSE(SiblingRecord::read(written({Kind::closed, 1, 1, 0, Octets(1)})));
  CHECK_FALSE(SiblingRecord::read(Octets(SiblingRecord::kMaxBytes + 1, 1)));
}

}  // namespace
}  // namespace dotrelay
