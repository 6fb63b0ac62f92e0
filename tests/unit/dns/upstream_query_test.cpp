// The relay's own question to an upstream, as octets: flags, OPT, carried options, and padding that hides the name's
// length.
#include "dns/upstream_query.hpp"

#include "transcript.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

Octets write(const UpstreamQuery& query) {
  Octets buffer(kMaxUpstreamQuery);
  buffer.resize(write_upstream_query(buffer, query));
  return buffer;
}

/// The options that the client's OPT sends up, or "too many".
std::string carried(const Octets& client_options) {
  Opt opt;
  opt.options = client_options;
  const auto options = carried_options(opt);
  return options ? to_hex(*options) : "too many";
}

TEST_CASE("a question goes up with the relay's own OPT, in one block of 128 octets") {
  const Octets qname = name("www.Example.com");
  const Octets message =
      write({.id = 0xbeef, .flags = flag::rd, .question = {qname, type::a, klass::in}, .options = {}});
  CHECK(message.size() == 128);
  CHECK(transcript(message) ==
        "beef query rd NOERROR\n"
        "question www.Example.com. A IN\n"
        "opt 1232\n"
        "padding 80\n");
}

TEST_CASE("RD, AD, CD and DO go up, no other flag does") {
  const Octets qname = name(".");
  const Octets message =
      write({.id = 1, .flags = 0xffff, .question = {qname, 2, klass::in}, .dnssec_ok = true, .options = {}});
  CHECK(transcript(message) ==
        "0001 query rd ad cd NOERROR\n"
        "question . NS IN\n"
        "opt 1232 do\n"
        "padding 96\n");
  CHECK(transcript(write({.question = {qname, 2, klass::any}, .options = {}})) ==
        "0000 query NOERROR\n"
        "question . NS ANY\n"
        "opt 1232\n"
        "padding 96\n");
}

TEST_CASE("carried options stand before the padding") {
  const Octets qname = name("a");
  const Octets options = edns_option(3) + edns_option(5, hex("0810"));
  CHECK(transcript(write({.question = {qname, 16, klass::in}, .options = options})) ==
        "0000 query NOERROR\n"
        "question a. TXT IN\n"
        "opt 1232\n"
        "option 3\n"
        "option 5 0810\n"
        "padding 84\n");
}

TEST_CASE("every length of name and options is padded to a multiple of 128 octets, and never more than needed") {
  for (std::size_t name_size = 1; name_size <= 255; ++name_size) {
    if (name_size == 2) continue;  // no name has two octets
    const Octets qname = name_of_size(name_size);
    REQUIRE(qname.size() == name_size);
    for (const std::size_t option_size : {0U, 1U, 100U, 128U, 1020U}) {
      const Octets options = option_size == 0 ? Octets() : edns_option(3, Octets(option_size, 1));
      const Octets message = write({.question = {qname, type::a, klass::in}, .options = options});
      const std::size_t needed = 12 + name_size + 4 + 11 + options.size() + 4;
      CAPTURE(name_size);
      CAPTURE(option_size);
      REQUIRE(message.size() % 128 == 0);
      REQUIRE(message.size() >= needed);
      REQUIRE(message.size() < needed + 128);
      REQUIRE(transcript(message).find("unreadable") == std::string::npos);
    }
  }
}

TEST_CASE("names of one block look alike from outside") {
  const Octets shortest = name(".");
  const Octets longest = name_of_size(97);  // 12 + 97 + 4 + 11 + 4 = 128
  const Octets next = name_of_size(98);
  CHECK(write({.question = {shortest, 1, 1}, .options = {}}).size() ==
        write({.question = {longest, 1, 1}, .options = {}}).size());
  CHECK(write({.question = {next, 1, 1}, .options = {}}).size() == 256);
}

TEST_CASE("carried over: NSID, DAU, DHU, N3U, CHAIN, ZONEVERSION, in the client's order") {
  const Octets all = edns_option(19) + edns_option(13, name("com")) + edns_option(7, hex("01")) +
                     edns_option(6, hex("02")) + edns_option(5, hex("08")) + edns_option(3);
  CHECK(carried(all) == to_hex(all));
}

TEST_CASE("what concerns the client or the hop stays here") {
  const Octets kept = edns_option(3);
  CHECK(carried(edns_option(8, hex("0001 18 00 c00002")) + kept) == to_hex(kept));  // ECS
  CHECK(carried(edns_option(10, hex("0102030405060708")) + kept) == to_hex(kept));  // COOKIE
  CHECK(carried(edns_option(11) + kept) == to_hex(kept));                           // keepalive
  CHECK(carried(kept + edns_option(12, Octets(100, 0))) == to_hex(kept));           // padding
  CHECK(carried(edns_option(65001, hex("001122334455")) + kept) == to_hex(kept));   // a router's MAC option
  CHECK(carried(edns_option(15, hex("0016"))).empty());                             // EDE is no request
  CHECK(carried({}).empty());
}

TEST_CASE("more than a query may carry is refused, not cut") {
  CHECK(carried(edns_option(3, Octets(kMaxCarriedOptions - 4, 1))).size() == 2 * kMaxCarriedOptions);
  CHECK(carried(edns_option(3, Octets(kMaxCarriedOptions - 3, 1))) == "too many");
  CHECK(carried(edns_option(3, Octets(60'000, 1))) == "too many");
  Octets many;
  for (std::size_t i = 0; i <= kMaxCarriedOptions / 4; ++i) many = many + edns_option(3);
  CHECK(carried(many) == "too many");
  CHECK(carried(edns_option(65001, Octets(60'000, 1)) + edns_option(3)) == "00030000");
}

TEST_CASE("without encryption there is no padding (RFC 7830 6); all else is as with it") {
  const Octets qname = name("www.example");
  const Octets options = edns_option(3);
  const UpstreamQuery query{.question = {qname, 1, 1}, .dnssec_ok = true, .options = options, .padded = false};
  CHECK(write(query).size() == 12 + qname.size() + 4 + 11 + options.size());
  CHECK(transcript(write(query)) ==
        "0000 query NOERROR\n"
        "question www.example. A IN\n"
        "opt 1232 do\n"
        "option 3\n");
}

TEST_CASE("without EDNS a query is its header and its question") {
  const Octets qname = name("www.example");
  CHECK(write({.id = 0x1234,
               .flags = 0x0100,
               .question = {qname, 28, 1},
               .dnssec_ok = true,
               .options = {},
               .edns = false}) ==
        u16(0x1234) + u16(0x0100) + u16(1) + u16(0) + u16(0) + u16(0) + qname + u16(28) + u16(1));
}

}  // namespace
}  // namespace dotrelay::dns
