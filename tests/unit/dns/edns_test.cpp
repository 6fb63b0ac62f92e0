// The OPT record: reading options that may lie about their length, and writing the relay's own.
#include "dns/edns.hpp"

#include "message_builder.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

template <class Write>
std::string written(Write write) {
  std::array<std::uint8_t, 512> buffer;
  ByteWriter writer(buffer);
  write(writer);
  REQUIRE_FALSE(writer.failed());
  return to_hex(writer.written());
}

TEST_CASE("options are taken one by one") {
  const Octets octets = edns_option(3) + edns_option(15, hex("0016")) + edns_option(0xffff, hex("01"));
  Bytes rest = octets;
  const auto first = take_option(rest);
  REQUIRE(first);
  CHECK(first->code == option::nsid);
  CHECK(first->data.empty());
  const auto second = take_option(rest);
  REQUIRE(second);
  CHECK(second->code == option::extended_error);
  CHECK(to_hex(second->data) == "0016");
  const auto third = take_option(rest);
  REQUIRE(third);
  CHECK(third->code == 0xffff);
  CHECK(rest.empty());
  CHECK_FALSE(take_option(rest));
}

TEST_CASE("options must fill their record exactly") {
  CHECK(options_well_formed({}));
  CHECK(options_well_formed(hex("0003 0000")));
  CHECK(options_well_formed(hex("0003 0000 000c 0002 0000")));
  CHECK_FALSE(options_well_formed(hex("00")));
  CHECK_FALSE(options_well_formed(hex("0003 00")));
  CHECK_FALSE(options_well_formed(hex("0003 0001")));
  CHECK_FALSE(options_well_formed(hex("0003 0000 00")));
  CHECK_FALSE(options_well_formed(hex("000c ffff 00")));
}

TEST_CASE("a malformed option leaves the rest as it was") {
  const Octets octets = hex("0003 0005 aabb");
  Bytes rest = octets;
  CHECK_FALSE(take_option(rest));
  CHECK(rest.size() == octets.size());
}

TEST_CASE("an OPT record as RFC 6891 6.1.2 draws it, with 1232 octets as the size that UDP answers may have") {
  CHECK(written([](ByteWriter& w) { write_opt(w, Rcode::noerror, false, 0); }) ==
        to_hex(hex("00 0029 04d0 00 00 0000 0000")));
  CHECK(written([](ByteWriter& w) { write_opt(w, Rcode::noerror, true, 9); }) ==
        to_hex(hex("00 0029 04d0 00 00 8000 0009")));
  // BADVERS is 16: the upper eight bits are 1.
  CHECK(written([](ByteWriter& w) { write_opt(w, Rcode::badvers, false, 0); }) ==
        to_hex(hex("00 0029 04d0 01 00 0000 0000")));
  CHECK(written([](ByteWriter& w) { write_opt(w, Rcode::refused, false, 0); }) ==
        to_hex(hex("00 0029 04d0 00 00 0000 0000")));
  CHECK(written([](ByteWriter& w) { write_opt(w, static_cast<Rcode>(0xfff), false, 0); }) ==
        to_hex(hex("00 0029 04d0 ff 00 0000 0000")));
  CHECK(hex(written([](ByteWriter& w) { write_opt(w, Rcode::noerror, false, 0); })).size() == kOptFixedSize);
}

TEST_CASE("padding takes exactly the octets it was given") {
  CHECK(written([](ByteWriter& w) { write_padding(w, 0); }).empty());
  CHECK(written([](ByteWriter& w) { write_padding(w, 4); }) == "000c0000");
  CHECK(written([](ByteWriter& w) { write_padding(w, 7); }) == "000c0003000000");
  CHECK(hex(written([](ByteWriter& w) { write_padding(w, 131); })).size() == 131);
}

TEST_CASE("an Extended DNS Error carries code and text (RFC 8914 2)") {
  CHECK(written([](ByteWriter& w) { write_extended_error(w, ExtendedError::no_reachable_authority, "down"); }) ==
        to_hex(hex("000f 0006 0016 646f776e")));
  CHECK(written([](ByteWriter& w) { write_extended_error(w, ExtendedError::network_error, ""); }) ==
        to_hex(hex("000f 0002 0017")));
}

TEST_CASE("a long error text is cut") {
  const std::string text(kMaxErrorText + 50, 'x');
  const Octets octets = hex(written([&](ByteWriter& w) { write_extended_error(w, ExtendedError::other, text); }));
  CHECK(octets.size() == 6 + kMaxErrorText);
  CHECK(load_u16(&octets[2]) == 2 + kMaxErrorText);
}

TEST_CASE("what a query carries upstream: requests about the data, nothing about the hop or the client") {
  for (unsigned code = 0; code <= 0xffff; ++code) {
    const bool wanted = code == 3 || code == 5 || code == 6 || code == 7 || code == 13 || code == 19;
    if (carried_upstream(static_cast<std::uint16_t>(code)) != wanted) FAIL("option " << code);
  }
}

TEST_CASE("what an answer carries to the client: NSID, errors, ZONEVERSION; no cookies, keepalive or padding") {
  for (unsigned code = 0; code <= 0xffff; ++code) {
    const bool wanted = code == 3 || code == 15 || code == 19;
    if (carried_to_client(static_cast<std::uint16_t>(code)) != wanted) FAIL("option " << code);
  }
}

}  // namespace
}  // namespace dotrelay::dns
