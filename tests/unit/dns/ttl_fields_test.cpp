// TTLs changed in place: what they become, and that nothing else does, wherever the offsets lead.
#include "dns/ttl_fields.hpp"

#include "message_builder.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

using Offsets = std::vector<std::uint16_t>;

std::string aged(Octets octets, const Offsets& fields, std::uint32_t seconds) {
  return age_ttls(octets, fields, seconds) ? to_hex(octets) : "outside";
}

TEST_CASE("a TTL counts down to 0") {
  CHECK(aged(u32(300), {0}, 0) == to_hex(u32(300)));
  CHECK(aged(u32(300), {0}, 1) == to_hex(u32(299)));
  CHECK(aged(u32(300), {0}, 299) == to_hex(u32(1)));
  CHECK(aged(u32(300), {0}, 300) == to_hex(u32(0)));
  CHECK(aged(u32(300), {0}, 301) == to_hex(u32(0)));
  CHECK(aged(u32(300), {0}, 0xffffffff) == to_hex(u32(0)));
  CHECK(aged(u32(0x00010000), {0}, 1) == to_hex(u32(0xffff)));
  CHECK(aged(u32(0x7fffffff), {0}, 1) == to_hex(u32(0x7ffffffe)));
}

TEST_CASE("a TTL with the top bit set is 0 (RFC 2181 8)") {
  CHECK(meaning_of_ttl(0x7fffffff) == 0x7fffffff);
  CHECK(meaning_of_ttl(0x80000000) == 0);
  CHECK(meaning_of_ttl(0xffffffff) == 0);
  CHECK(aged(u32(0x80000000), {0}, 0) == to_hex(u32(0)));
  CHECK(aged(u32(0xffffffff), {0}, 1) == to_hex(u32(0)));
}

TEST_CASE("nothing but the fields changes, at any place") {
  CHECK(aged(hex("ffff 0000012c ff 0000003c 7777"), {2, 7}, 60) == to_hex(hex("ffff 000000f0 ff 00000000 7777")));
  CHECK(aged(hex("00 0000012c"), {1}, 1) == to_hex(hex("00 0000012b")));
  CHECK(aged(hex("abcd"), {}, 1) == "abcd");
}

TEST_CASE("an offset outside is refused, and no octet outside changes") {
  CHECK(aged(u32(300), {1}, 1) == "outside");
  CHECK(aged(u32(300), {4}, 1) == "outside");
  CHECK(aged(u32(300), {0xffff}, 1) == "outside");
  CHECK(aged(hex("0000"), {0}, 1) == "outside");
  CHECK(aged({}, {0}, 1) == "outside");
  Octets octets = u32(300) + u32(300);
  CHECK_FALSE(age_ttls(MutableBytes(octets).first(4), Offsets{0, 2, 0}, 1));
  CHECK(to_hex(octets) == to_hex(u32(299) + u32(300)));
}

TEST_CASE("a bound lowers what is above it") {
  Octets octets = u32(300) + u32(86400) + u32(0xffffffff) + u32(86401);
  CHECK(bound_ttls(octets, Offsets{0, 4, 8, 12}, 86400));
  CHECK(to_hex(octets) == to_hex(u32(300) + u32(86400) + u32(0) + u32(86400)));
  CHECK_FALSE(bound_ttls(octets, Offsets{13}, 1));
}

TEST_CASE("one TTL for all") {
  Octets octets = u32(0) + u16(0xabcd) + u32(86400);
  CHECK(set_ttls(octets, Offsets{0, 6}, 5));
  CHECK(to_hex(octets) == to_hex(u32(5) + u16(0xabcd) + u32(5)));
  CHECK_FALSE(set_ttls(octets, Offsets{7}, 5));
}

}  // namespace
}  // namespace dotrelay::dns
