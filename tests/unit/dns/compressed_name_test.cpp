// Names in messages compared through their pointers, sound ones and those that lead nowhere.
#include "dns/compressed_name.hpp"

#include "message_builder.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

// A message of names only: the header is as good as any octets.
const Octets kHeader(12, 0);

TEST_CASE("plain names compare without case, whole") {
  const Octets message = kHeader + name("www.example.com") + name("WWW.Example.COM") + name("example.com") + name(".");
  const std::size_t capitals = 12 + 17;
  const std::size_t shorter = capitals + 17;
  const std::size_t root = shorter + 13;
  CHECK(same_name_in(message, 12, 12));
  CHECK(same_name_in(message, 12, capitals));
  CHECK_FALSE(same_name_in(message, 12, shorter));
  CHECK_FALSE(same_name_in(message, shorter, 12));
  CHECK(same_name_in(message, 16, shorter));
  CHECK_FALSE(same_name_in(message, shorter, root));
  CHECK(same_name_in(message, root, root));
}

TEST_CASE("only letters fold") {
  const Octets message = kHeader + name("a@") + name("a`") + name("A@");
  CHECK_FALSE(same_name_in(message, 12, 16));
  CHECK(same_name_in(message, 12, 20));
}

TEST_CASE("pointers are followed, at the beginning and in the end, one after the other") {
  const Octets message = kHeader + name("www.example.com") + pointer(12) + u8(3) + characters("WWW") + pointer(16) +
                         pointer(29) + name("www.example.org");
  CHECK(same_name_in(message, 12, 29));
  CHECK(same_name_in(message, 29, 31));
  CHECK(same_name_in(message, 31, 12));
  CHECK(same_name_in(message, 37, 31));
  CHECK_FALSE(same_name_in(message, 37, 39));
}

TEST_CASE("a pointer that does not lead back is no name") {
  const Octets plain = kHeader + name("a");
  CHECK_FALSE(same_name_in(plain + pointer(15), 12, 15));                            // itself
  CHECK_FALSE(same_name_in(plain + pointer(17) + name("a"), 12, 15));                // forwards
  CHECK_FALSE(same_name_in(plain + u8(1) + characters("a") + pointer(15), 12, 15));  // the label before it
  // Two that lead to each other.
  CHECK_FALSE(same_name_in(plain + pointer(17) + pointer(15), 12, 17));
  // A label that ends in a pointer to before it, from where the same octets are read again.
  CHECK_FALSE(same_name_in(kHeader + hex("01 61 01 61 c00c"), 14, 12));
  CHECK_FALSE(same_name_in(kHeader + hex("01 61 01 61 c00c"), 14, 16));
}

TEST_CASE("a name that leaves the message is none") {
  const Octets message = kHeader + name("ab");
  for (std::size_t size = 12; size < message.size(); ++size) {
    CAPTURE(size);
    const Octets cut = Octets(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
    const Octets other = name("ab") + cut;
    CHECK_FALSE(same_name_in(other, 0, 16));
  }
  CHECK_FALSE(same_name_in(message, 12, message.size()));
  CHECK_FALSE(same_name_in(message, 12, 65535));
  CHECK_FALSE(same_name_in(message + hex("c0"), 12, 16));
  CHECK_FALSE(same_name_in({}, 0, 0));
}

TEST_CASE("label types of other kinds are none") {
  CHECK_FALSE(same_name_in(kHeader + hex("40 00"), 12, 12));
  CHECK_FALSE(same_name_in(kHeader + hex("80 00"), 12, 12));
}

TEST_CASE("a name takes 255 steps at most: 127 labels, a pointer behind each, and the root") {
  // The longest name from the root up, so that each label's pointer leads back.
  const auto climb = [](std::size_t labels) {
    Octets message = kHeader + u8(0);
    std::size_t last = 12;
    for (std::size_t i = 0; i < labels; ++i) {
      const std::size_t next = message.size();
      message = message + u8(1) + characters("a") + pointer(last);
      last = next;
    }
    return std::pair(message, last);
  };
  const auto compare = [](const std::pair<Octets, std::size_t>& left) {
    std::string text = "a";
    for (std::size_t i = 13; i < left.second; i += 4) text += ".a";
    const Octets message = left.first + name(text);
    return same_name_in(message, left.second, left.first.size());
  };
  CHECK(compare(climb(1)));
  CHECK(compare(climb(127)));
  CHECK_FALSE(compare(climb(128)));
}

}  // namespace
}  // namespace dotrelay::dns
