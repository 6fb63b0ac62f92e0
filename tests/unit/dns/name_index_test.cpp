// The longest of many names that a name is or is below.
#include "dns/name_index.hpp"

#include "dns/name.hpp"
#include "message_builder.hpp"

#include <doctest/doctest.h>
#include <map>
#include <random>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

NameIndex index_of(std::initializer_list<std::string_view> names) {
  NameIndex index;
  std::uint16_t number = 1;
  for (const std::string_view one : names) index.add(name(one), number++);
  index.settle();
  return index;
}

/// "2 of corp.example.", or "none".
std::string found(const NameIndex& index, std::string_view qname) {
  const Octets octets = name(qname);
  const NameIndex::Found found = index.find(octets);
  if (found.size == 0) return "none";
  return std::to_string(found.number) + " of " + to_text(Bytes(octets).last(found.size));
}

TEST_CASE("an index of nothing finds nothing") {
  const NameIndex index = index_of({});
  CHECK(found(index, ".") == "none");
  CHECK(found(index, "example") == "none");
}

TEST_CASE("a name itself and what is below it, in any case, at a label's edge") {
  const NameIndex index = index_of({"corp.example", "local"});
  CHECK(found(index, "corp.example") == "1 of corp.example.");
  CHECK(found(index, "A.b.CORP.Example") == "1 of CORP.Example.");
  CHECK(found(index, "local") == "2 of local.");
  CHECK(found(index, "x.LOCAL") == "2 of LOCAL.");
  for (const std::string_view other : {".", "example", "xcorp.example", "corp.examples", "corp.example.com",
                                       "orp.example", "loca", "locale", "xlocal", "al", "a.example", "z.example"}) {
    CAPTURE(other);
    CHECK(found(index, other) == "none");
  }
}

TEST_CASE("the longest name counts, whatever comes first") {
  for (const NameIndex& index : {index_of({"example", "b.example", "a.b.example"})}) {
    CHECK(found(index, "example") == "1 of example.");
    CHECK(found(index, "c.example") == "1 of example.");
    CHECK(found(index, "b.example") == "2 of b.example.");
    CHECK(found(index, "0.b.example") == "2 of b.example.");
    CHECK(found(index, "z.b.example") == "2 of b.example.");
    CHECK(found(index, "x.a.b.example") == "3 of a.b.example.");
    CHECK(found(index, "aa.b.example") == "2 of b.example.");
  }
}

TEST_CASE("of a name that is added twice the later number counts") {
  const NameIndex index = index_of({"a.b", "c", "A.B", "c"});
  CHECK(found(index, "x.a.b") == "3 of a.b.");
  CHECK(found(index, "c") == "4 of c.");
}

TEST_CASE("short names and octets that are no letters") {
  const NameIndex index = index_of({"a", "b.c", "1.2", "xn--a"});
  CHECK(found(index, "a") == "1 of a.");
  CHECK(found(index, "x.a") == "1 of a.");
  CHECK(found(index, "c") == "none");
  CHECK(found(index, "b.c") == "2 of b.c.");
  CHECK(found(index, "2") == "none");
  CHECK(found(index, "0.1.2") == "3 of 1.2.");
  const Octets odd = hex("03 00ff2e 01 61 00");
  CHECK(index.find(odd).number == 1);
}

TEST_CASE("the longest names there are") {
  const Octets longest = name_of_size(255);
  const Octets deepest = [] {
    Octets octets;
    for (int i = 0; i < 127; ++i) octets = octets + hex("01 61");
    return octets + hex("00");
  }();
  NameIndex index;
  index.add(longest, 7);
  index.add(deepest, 8);
  index.settle();
  CHECK(index.find(longest).number == 7);
  CHECK(index.find(longest).size == 255);
  CHECK(index.find(deepest).number == 8);
  CHECK(index.find(deepest).size == 255);
  CHECK(index.find(Bytes(deepest).subspan(2)).size == 0);
}

TEST_CASE("whatever is in it: as looking for each suffix finds it") {
  std::mt19937 random(1);
  const auto some_name = [&] {
    Octets octets;
    for (std::uint32_t labels = 1 + random() % 5; labels > 0; --labels) {
      const std::uint32_t size = 1 + random() % 2;
      octets.push_back(static_cast<std::uint8_t>(size));
      for (std::uint32_t i = 0; i < size; ++i) octets.push_back(static_cast<std::uint8_t>("abAB-\x01"[random() % 6]));
    }
    octets.push_back(0);
    return octets;
  };
  const auto folded = [](Bytes octets) {
    Octets lower(octets.begin(), octets.end());
    for (std::uint8_t& octet : lower) octet = fold_case(octet);
    return lower;
  };
  for (int round = 0; round < 50; ++round) {
    NameIndex index;
    std::map<Octets, std::uint16_t> model;
    for (std::uint16_t number = 0; number < 40; ++number) {
      const Octets one = some_name();
      if (one.size() < 3) continue;
      index.add(one, number);
      model[folded(one)] = number;
    }
    index.settle();
    for (int i = 0; i < 500; ++i) {
      const Octets asked = some_name();
      const NameIndex::Found found = index.find(asked);
      Bytes suffix = asked;
      while (suffix.size() > 1 && !model.contains(folded(suffix))) suffix = suffix.subspan(1U + suffix[0]);
      REQUIRE(found.size == (suffix.size() > 1 ? suffix.size() : 0));
      if (found.size > 0) REQUIRE(found.number == model[folded(suffix)]);
    }
  }
}

}  // namespace
}  // namespace dotrelay::dns
