// Names on the wire: bounds of labels and names, comparison without case, printing, and each client's own spelling.
#include "dns/name.hpp"

#include "message_builder.hpp"

#include <array>
#include <bit>
#include <doctest/doctest.h>
#include <random>
#include <vector>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

/// What read_plain_name() makes of the octets, and where it leaves the reader.
std::string read_plain(const Octets& octets) {
  ByteReader reader(octets);
  const Bytes read = read_plain_name(reader);
  if (read.empty()) return "malformed";
  CHECK(reader.offset() == read.size());
  return to_text(read);
}

/// How many octets skip_name() passes, or -1.
int skipped(const Octets& octets) {
  ByteReader reader(octets);
  return skip_name(reader) ? static_cast<int>(reader.offset()) : -1;
}

TEST_CASE("a plain name is read up to its root label") {
  CHECK(read_plain(name("www.example.com") + hex("ff ff")) == "www.example.com.");
  CHECK(read_plain(name(".")) == ".");
  CHECK(read_plain(name(std::string(63, 'a'))) == std::string(63, 'a') + ".");
  CHECK(read_plain(name_of_size(255)) != "malformed");
}

TEST_CASE("what is no plain name is malformed") {
  CHECK(read_plain({}) == "malformed");
  CHECK(read_plain(hex("03 777777")) == "malformed");                     // no root label
  CHECK(read_plain(hex("03 7777")) == "malformed");                       // a label past the end
  CHECK(read_plain(hex("03 777777 c00c")) == "malformed");                // a pointer has nothing to point to
  CHECK(read_plain(u8(64) + Octets(64, 'a') + u8(0)) == "malformed");     // 01: reserved (RFC 1035 4.1.4)
  CHECK(read_plain(u8(0x80) + Octets(128, 'a') + u8(0)) == "malformed");  // 10: reserved
  CHECK(name_of_size(256).size() == 256);
  CHECK(read_plain(name_of_size(256)) == "malformed");
}

/// The same for a name that stands at octet 13 of what is read.
int skipped_at_13(const Octets& octets) {
  const Octets message = Octets(13, 0) + octets;
  ByteReader reader(message, 13);
  return skip_name(reader) ? static_cast<int>(reader.offset()) - 13 : -1;
}

TEST_CASE("a name that may be compressed is passed, its pointer is not followed") {
  CHECK(skipped(name("www.example.com")) == 17);
  CHECK(skipped(name(".")) == 1);
  CHECK(skipped_at_13(hex("c00c")) == 2);
  CHECK(skipped_at_13(hex("03 777777 c00c 00")) == 6);
  CHECK(skipped(name_of_size(255)) == 255);
}

TEST_CASE("a compressed name that does not end is malformed") {
  CHECK(skipped({}) == -1);
  CHECK(skipped(hex("c0")) == -1);
  CHECK(skipped(hex("03 777777")) == -1);
  CHECK(skipped(hex("03 777777 c0")) == -1);
  CHECK(skipped(hex("40 00")) == -1);
  CHECK(skipped(hex("bf 00")) == -1);
  // A pointer goes to a prior name (RFC 1035 4.1.4): not to itself, not ahead, not past the end.
  CHECK(skipped_at_13(hex("c00d")) == -1);
  CHECK(skipped_at_13(hex("03 777777 c00e")) == -1);
  CHECK(skipped_at_13(hex("ffff")) == -1);
  CHECK(skipped(name_of_size(256)) == -1);
}

TEST_CASE("names compare without case, octet by octet") {
  CHECK(same_name(name("www.Example.COM"), name("WWW.eXample.com")));
  CHECK_FALSE(same_name(name("www.example.com"), name("www.example.org")));
  CHECK_FALSE(same_name(name("example.com"), name("www.example.com")));
  // The labels count, not only the letters: "a.b" is not the one label of three octets 'a' 01 'b'.
  CHECK_FALSE(same_name(name("a.b"), hex("03 61 01 62 00")));
  // Only ASCII letters have case (RFC 4343 2.1): '@' and '`', '[' and '{', and octets above 127 do not.
  CHECK_FALSE(same_name(hex("01 40 00"), hex("01 60 00")));
  CHECK_FALSE(same_name(hex("01 5b 00"), hex("01 7b 00")));
  CHECK_FALSE(same_name(hex("01 c1 00"), hex("01 e1 00")));
}

TEST_CASE("capitals are found eight octets at a time: every octet, at every position, among every kind of neighbours") {
  for (const std::uint8_t neighbour : {0x00, 0x40, 0x41, 0x5a, 0x5b, 0x7f, 0x80, 0xc1, 0xff}) {
    for (std::size_t position = 0; position < 8; ++position) {
      for (unsigned octet = 0; octet < 256; ++octet) {
        std::array<std::uint8_t, 8> octets;
        octets.fill(neighbour);
        octets[position] = static_cast<std::uint8_t>(octet);
        std::array<std::uint8_t, 8> expected;
        for (std::size_t i = 0; i < 8; ++i) expected[i] = octets[i] >= 'A' && octets[i] <= 'Z' ? 0x20 : 0;
        REQUIRE(capitals_of(std::bit_cast<std::uint64_t>(octets)) == std::bit_cast<std::uint64_t>(expected));
      }
    }
  }
}

/// Octets of which many are letters and their neighbours, as many as names may have. Whether they are a name does not
/// matter to what works octet by octet.
Octets random_octets(std::minstd_rand& random, std::size_t size) {
  Octets octets(size);
  for (std::uint8_t& octet : octets) {
    octet = static_cast<std::uint8_t>(random() % 4 == 0 ? random() % 256 : '@' + random() % 64);
  }
  return octets;
}

Octets folded(Octets octets) {
  for (std::uint8_t& octet : octets) octet = fold_case(octet);
  return octets;
}

/// The same octets with letters in a case that chance decides.
Octets respelled(std::minstd_rand& random, Octets octets) {
  for (std::uint8_t& octet : octets) {
    octet = fold_case(octet);
    if (octet >= 'a' && octet <= 'z' && random() % 2 == 0) octet = static_cast<std::uint8_t>(octet & ~0x20);
  }
  return octets;
}

std::vector<std::uint64_t> words_of(const Octets& octets) {
  std::vector<std::uint64_t> words;
  for_each_folded_word(octets, [&](std::uint64_t word) { words.push_back(word); });
  return words;
}

TEST_CASE("folding, comparing and respelling do what they would do octet by octet") {
  std::minstd_rand random(1);
  for (std::size_t round = 0; round < 20; ++round) {
    for (std::size_t size = 0; size <= kMaxName; ++size) {
      const Octets asked = random_octets(random, size);
      Octets answered = respelled(random, asked);
      REQUIRE(same_name(asked, answered));

      REQUIRE(words_of(answered) == words_of(folded(asked)));

      if (size > 0) {
        Octets other = answered;
        std::uint8_t& changed = other[random() % size];
        changed = static_cast<std::uint8_t>(changed ^ (1U << random() % 8));
        REQUIRE(same_name(asked, other) == (folded(asked) == folded(other)));
        REQUIRE((words_of(asked) == words_of(other)) == same_name(asked, other));
      }

      Spelling(asked).apply(answered);
      REQUIRE(answered == asked);
    }
  }
}

TEST_CASE("a name that is written without escapes") {
  CHECK(from_text("localhost") == name("localhost"));
  CHECK(from_text("10.in-addr.arpa") == name("10.in-addr.arpa"));
  const std::string label(63, 'a');
  CHECK(from_text(label + "." + label + "." + label + "." + std::string(61, 'a')).size() == kMaxName);
}

TEST_CASE("presentation format escapes what would be misread (RFC 1035 5.1)") {
  CHECK(to_text(name(".")) == ".");
  CHECK(to_text(name("www.Example.com")) == "www.Example.com.");
  CHECK(to_text(hex("03 61 2e 62 01 5c 00")) == "a\\.b.\\\\.");
  CHECK(to_text(hex("04 00 20 7f ff 00")) == "\\000\\032\\127\\255.");
}

TEST_CASE("a spelling gives a name its capitals back") {
  const Octets asked = name("wWw.Ex4mple-.COM");
  Octets answered = name("WwW.eX4MPLE-.com");
  Spelling(asked).apply(answered);
  CHECK(answered == asked);
}

TEST_CASE("a spelling keeps what has no case, at every length") {
  for (std::size_t size = 3; size <= 255; ++size) {
    Octets upper = name_of_size(size);
    for (std::size_t i = 0; i < size; i += 3) {
      if (upper[i] == 'n') upper[i] = 'N';
    }
    Octets lower = name_of_size(size);
    Spelling(upper).apply(lower);
    REQUIRE(lower == upper);
  }
  Octets odd = hex("05 00 40 5b 7b c1 00");
  Spelling(odd).apply(odd);
  CHECK(odd == hex("05 00 40 5b 7b c1 00"));
}

TEST_CASE("spellings compare by their capitals") {
  CHECK(Spelling(name("a.com")) == Spelling(name("b.org")));
  CHECK_FALSE(Spelling(name("A.com")) == Spelling(name("a.com")));
}

TEST_CASE("the last labels of a name") {
  const auto last = [](const Octets& of, std::size_t count) {
    const Bytes labels = last_labels(of, count);
    return to_text(labels);
  };
  CHECK(last(name("a.b.example.com"), 2) == "example.com.");
  CHECK(last(name("example.com"), 2) == "example.com.");
  CHECK(last(name("com"), 2) == "com.");
  CHECK(last(name("."), 2) == ".");
  CHECK(last(name("a.b.example.com"), 1) == "com.");
  CHECK(last(name("a.b.example.com"), 0) == ".");
  CHECK(last_labels(name_of_size(255), 200).size() == 255);
}

}  // namespace
}  // namespace dotrelay::dns
