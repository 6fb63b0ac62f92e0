// How long responses may be kept, as lines of text: "positive 300 at 41" with the offsets of the TTLs.
#include "dns/lifetime.hpp"

#include "dns/ttl_fields.hpp"
#include "transcript.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

constexpr std::size_t kFields = 64;

const char* text_of(ResponseKind kind) {
  constexpr std::array<const char*, 4> kTexts = {"positive", "nodata", "nxdomain", "failure"};
  return kTexts[static_cast<std::size_t>(kind)];
}

const char* text_of(Obstacle obstacle) {
  constexpr std::array<const char*, 6> kTexts = {"none",   "malformed", "truncated", "too many records",
                                                 "no SOA", "zero TTL"};
  return kTexts[static_cast<std::size_t>(obstacle)];
}

/// "positive 300", or why it is not kept.
std::string life(const Octets& message, std::size_t room = kFields) {
  const auto response = parse_response(message);
  if (!response) return "no response";
  std::vector<std::uint16_t> fields(room, 0xeeee);
  const Lifetime lifetime = lifetime_of(message, *response, fields);
  if (!lifetime.may_be_kept()) return text_of(lifetime.obstacle);
  return text_of(lifetime.kind) + (lifetime.seconds == 0 ? "" : " " + std::to_string(lifetime.seconds));
}

std::vector<std::uint16_t> fields_of(const Octets& message) {
  const auto response = parse_response(message);
  REQUIRE(response);
  std::vector<std::uint16_t> fields(kFields);
  fields.resize(lifetime_of(message, *response, fields).ttl_count);
  return fields;
}

constexpr unsigned kNs = 2;
constexpr unsigned kCname = 5;
constexpr unsigned kSoa = 6;
constexpr unsigned kAaaa = 28;
constexpr unsigned kDname = 39;
constexpr unsigned kRrsig = 46;
constexpr unsigned kNsec = 47;
constexpr unsigned kAny = 255;

constexpr unsigned kNoError = 0x8180;
constexpr unsigned kNxdomain = 0x8183;

const Octets kAddress = hex("c0000201");
const Octets kSignature = Octets(18, 0) + name("example.com") + Octets(64, 7);

/// To the question www.example.com; "example.com" is at octet 16.
MessageBuilder responding(unsigned flags = kNoError, unsigned type = 1) {
  return MessageBuilder(0xbeef, flags).question("www.example.com", type);
}

Octets a_record(unsigned ttl, const Octets& owner = pointer(12)) { return record(owner, 1, kAddress, ttl); }

Octets numbers(unsigned minimum) { return u32(2026) + u32(7200) + u32(900) + u32(1209600) + u32(minimum); }

Octets soa(unsigned ttl, unsigned minimum) {
  return record(pointer(16), kSoa, name("ns.example.com") + name("hostmaster.example.com") + numbers(minimum), ttl);
}

Octets alias(const Octets& owner, const Octets& target, unsigned ttl = 300) {
  return record(owner, kCname, target, ttl);
}

// ---- positive ----

TEST_CASE("an answer lives as long as its least TTL") {
  CHECK(life(responding().answer(a_record(300))) == "positive 300");
  CHECK(life(responding().answer(a_record(300)).answer(a_record(60))) == "positive 60");
  CHECK(life(responding().answer(a_record(1))) == "positive 1");
  CHECK(life(responding().answer(a_record(0x7fffffff))) == "positive 2147483647");
}

TEST_CASE("records of all sections count") {
  const Octets ns = record(pointer(16), kNs, name("ns.example.com"), 200);
  CHECK(life(responding().answer(a_record(300)).authority(ns)) == "positive 200");
  CHECK(life(responding().answer(a_record(300)).authority(ns).additional(a_record(100, name("ns.example.com")))) ==
        "positive 100");
}

TEST_CASE("an SOA in the authority section of an answer bounds nothing but by its TTL") {
  CHECK(life(responding().answer(a_record(300)).authority(soa(600, 1))) == "positive 300");
  CHECK(life(responding(kNoError, kSoa).answer(record(pointer(12), kSoa, numbers(5), 300))) == "positive 300");
}

TEST_CASE("TTL 0 is not kept, wherever it stands, nor one with the top bit set (RFC 2181 8)") {
  CHECK(life(responding().answer(a_record(0))) == "zero TTL");
  CHECK(life(responding().answer(a_record(300)).additional(a_record(0))) == "zero TTL");
  CHECK(life(responding().answer(a_record(300)).answer(a_record(0x80000000))) == "zero TTL");
  CHECK(life(responding().answer(a_record(0xffffffff))) == "zero TTL");
  CHECK(life(responding().answer(a_record(300)).additional(record(name("key"), 250, Octets(26, 0), 0, 255))) ==
        "zero TTL");  // TSIG: it is for one message only (RFC 8945 4.2)
}

TEST_CASE("OPT has no TTL, in the middle or last") {
  const OptFields dnssec{.dnssec_ok = true};
  CHECK(life(responding().answer(a_record(300)).opt()) == "positive 300");
  CHECK(life(responding().answer(a_record(300)).opt(dnssec).additional(a_record(200))) == "positive 200");
  CHECK(fields_of(
            responding().answer(a_record(300)).opt(dnssec, edns_option(12, Octets(8, 0))).additional(a_record(2))) ==
        std::vector<std::uint16_t>{39, 78});
}

TEST_CASE("where the TTLs stand") {
  const MessageBuilder builder =
      responding().answer(a_record(300)).answer(a_record(40, name("www.example.com"))).authority(soa(7, 9));
  const Octets message = builder;
  const std::vector<std::uint16_t> fields = fields_of(message);
  REQUIRE(fields.size() == 3);
  const auto ttl_at = [&](std::size_t at) { return to_hex(std::span(message).subspan(at, 4)); };
  CHECK(ttl_at(fields[0]) == to_hex(u32(300)));
  CHECK(ttl_at(fields[1]) == to_hex(u32(40)));
  CHECK(ttl_at(fields[2]) == to_hex(u32(7)));
}

TEST_CASE("a kept answer counts down, and its OPT does not") {
  Octets message = responding().answer(a_record(300)).authority(soa(90, 60)).opt({.dnssec_ok = true});
  CHECK(age_ttls(message, fields_of(message), 100));
  CHECK(transcript(message) ==
        "beef response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 200 A IN c0000201\n"
        "authority example.com. 0 SOA IN ns.example.com. hostmaster.example.com. " +
            to_hex(numbers(60)) +
            "\n"
            "opt 1232 do\n");
}

TEST_CASE("as many records as there is room for") {
  MessageBuilder builder = responding();
  for (int i = 0; i < 64; ++i) builder.answer(a_record(300));
  CHECK(life(builder) == "positive 300");
  CHECK(life(MessageBuilder(builder).opt()) == "positive 300");
  CHECK(life(builder, 63) == "too many records");
  CHECK(life(builder.answer(a_record(300))) == "too many records");
  CHECK(life(builder, 65) == "positive 300");
  CHECK(life(builder, 0) == "too many records");
}

// ---- what an alias leads to ----

TEST_CASE("a chain of CNAMEs with the record at its end is an answer, with the least TTL of the chain") {
  CHECK(life(responding()
                 .answer(alias(pointer(12), name("web.example.net"), 30))
                 .answer(a_record(300, name("WEB.example.NET")))) == "positive 30");
  // The target is compressed, and the owner is a pointer to it.
  CHECK(life(responding()
                 .answer(alias(pointer(12), u8(3) + characters("web") + pointer(16)))
                 .answer(a_record(20, pointer(45)))) == "positive 20");
}

TEST_CASE("a chain without the record at its end is negative, as long as the SOA says") {
  const MessageBuilder chain = responding().answer(alias(pointer(12), name("web.example.net"), 30));
  CHECK(life(chain) == "no SOA");
  CHECK(life(MessageBuilder(chain).authority(soa(900, 600))) == "nodata 30");
  CHECK(life(MessageBuilder(chain).authority(soa(900, 20))) == "nodata 20");
  CHECK(life(MessageBuilder(chain).authority(soa(10, 20))) == "nodata 10");
  // A record of the type that is not at the end.
  CHECK(life(MessageBuilder(chain).answer(a_record(300)).authority(soa(900, 20))) == "nodata 20");
  CHECK(life(MessageBuilder(chain).answer(a_record(300, name("other.test"))).authority(soa(900, 20))) == "nodata 20");
}

TEST_CASE("signed CNAMEs lead on too") {
  const MessageBuilder chain = responding()
                                   .answer(alias(pointer(12), name("web.example.net")))
                                   .answer(record(pointer(12), kRrsig, kSignature, 300));
  CHECK(life(MessageBuilder(chain).answer(a_record(40, name("web.example.net")))) == "positive 40");
  CHECK(life(MessageBuilder(chain).authority(soa(900, 20))) == "nodata 20");
}

TEST_CASE("a chain counts in any order") {
  const Octets first = alias(pointer(12), name("b.test"));
  const Octets second = alias(name("b.test"), name("c.test"));
  const Octets third = alias(name("c.test"), name("d.test"));
  const Octets last = a_record(60, name("d.test"));
  CHECK(life(responding().answer(last).answer(third).answer(second).answer(first)) == "positive 60");
  CHECK(life(responding().answer(third).answer(first).answer(last).answer(second)) == "positive 60");
}

TEST_CASE("CNAMEs that lead in a circle end") {
  CHECK(life(responding().answer(alias(pointer(12), pointer(12)))) == "no SOA");
  CHECK(life(responding()
                 .answer(alias(pointer(12), name("b.test")))
                 .answer(alias(name("b.test"), name("www.example.com")))
                 .authority(soa(60, 60))) == "nodata 60");
}

TEST_CASE("a CNAME whose target is no name leads nowhere") {
  for (const Octets& target :
       {Octets{}, hex("c0ff"), hex("3f"), hex("40"), pointer(41), pointer(42), hex("01 61 c029")}) {
    CAPTURE(to_hex(target));
    CHECK(life(responding().answer(alias(pointer(12), target)).answer(a_record(300, name("b.test")))) == "no SOA");
  }
}

TEST_CASE("a CNAME with more than a target leads nowhere") {
  const Octets to_web = alias(pointer(12), name("web.example.net") + hex("00"));
  CHECK(life(responding().answer(to_web).answer(a_record(300, name("web.example.net")))) == "no SOA");
}

TEST_CASE("CNAME, ANY and DNAME as the asked type") {
  const Octets to_web = alias(pointer(12), name("web.example.net"));
  CHECK(life(responding(kNoError, kCname).answer(to_web)) == "positive 300");
  CHECK(life(responding(kNoError, kAny).answer(to_web)) == "positive 300");
  CHECK(life(responding(kNoError, kAny).answer(record(pointer(12), 13, hex("07 5246433834383200"), 3600))) ==
        "positive 3600");  // RFC 8482
  const Octets moved = record(pointer(16), kDname, name("example.net"), 300);
  const MessageBuilder synthesized =
      responding(kNoError, kDname).answer(moved).answer(alias(pointer(12), name("www.example.net")));
  CHECK(life(MessageBuilder(synthesized).authority(soa(300, 50))) == "nodata 50");
  CHECK(life(responding()
                 .answer(moved)
                 .answer(alias(pointer(12), name("www.example.net")))
                 .answer(a_record(9, name("www.example.net")))) == "positive 9");
}

// ---- negative ----

TEST_CASE("a negative response lives as long as the lesser of its SOA's TTL and MINIMUM (RFC 2308 5)") {
  for (const unsigned flags : {kNoError, kNxdomain}) {
    const std::string kind = flags == kNoError ? "nodata " : "nxdomain ";
    CHECK(life(responding(flags).authority(soa(900, 300))) == kind + "300");
    CHECK(life(responding(flags).authority(soa(300, 900))) == kind + "300");
    CHECK(life(responding(flags).authority(soa(86400, 86400))) == kind + "10800");
    CHECK(life(responding(flags).authority(soa(10800, 10801))) == kind + "10800");
    CHECK(life(responding(flags).authority(soa(0, 900))) == "zero TTL");
    CHECK(life(responding(flags).authority(soa(900, 0))) == "zero TTL");
    CHECK(life(responding(flags).authority(soa(900, 0x80000000))) == "zero TTL");
    CHECK(life(responding(flags).authority(soa(0x80000000, 900))) == "zero TTL");
    CHECK(life(responding(flags)) == "no SOA");
  }
}

TEST_CASE("the records that prove it count: NSEC and RRSIG in the authority section") {
  const Octets nsec = record(name("example.com"), kNsec, name("a.example.com") + hex("0001 40"), 60);
  const Octets signature = record(name("example.com"), kRrsig, kSignature, 50);
  CHECK(life(responding(kNxdomain).authority(soa(900, 300)).authority(nsec)) == "nxdomain 60");
  CHECK(life(responding(kNxdomain).authority(soa(900, 300)).authority(nsec).authority(signature)) == "nxdomain 50");
  CHECK(life(responding(kNxdomain).authority(nsec).authority(signature)) == "no SOA");
  CHECK(life(responding().authority(nsec).authority(signature).authority(soa(900, 40))) == "nodata 40");
}

TEST_CASE("NXDOMAIN of what an alias leads to (RFC 6604)") {
  const Octets to_web = alias(pointer(12), name("web.example.net"), 30);
  CHECK(life(responding(kNxdomain).answer(to_web).authority(soa(900, 600))) == "nxdomain 30");
  CHECK(life(responding(kNxdomain).answer(to_web)) == "no SOA");
}

TEST_CASE("referrals and empty answers without an SOA are not kept") {
  CHECK(life(responding().authority(record(pointer(16), kNs, name("ns.example.com"), 300))) == "no SOA");
  CHECK(life(responding().answer(record(pointer(12), kAaaa, Octets(16, 1)))) == "no SOA");
}

TEST_CASE("an SOA counts in the authority section only, and the strictest of several") {
  CHECK(life(responding(kNxdomain).additional(soa(900, 300))) == "no SOA");
  CHECK(life(responding(kNxdomain).answer(soa(900, 300))) == "no SOA");
  CHECK(life(responding(kNxdomain).authority(soa(900, 300)).authority(soa(900, 200))) == "nxdomain 200");
  CHECK(life(responding(kNxdomain).authority(soa(900, 200)).authority(soa(900, 300))) == "nxdomain 200");
}

TEST_CASE("the names of an SOA may be compressed") {
  const auto negative = [](const Octets& data) {
    return life(responding(kNxdomain).authority(record(pointer(16), kSoa, data, 900)));
  };
  CHECK(negative(pointer(16) + pointer(16) + numbers(300)) == "nxdomain 300");
  CHECK(negative(hex("02 6e73") + pointer(16) + hex("01 61") + pointer(16) + numbers(300)) == "nxdomain 300");
  CHECK(negative(name(".") + name(".") + numbers(300)) == "nxdomain 300");
  CHECK(negative(name("ns.example.com") + pointer(16) + numbers(300)) == "nxdomain 300");
}

TEST_CASE("an SOA that cannot be read is none") {
  const auto negative = [](const Octets& data) {
    return life(responding(kNxdomain).authority(record(pointer(16), kSoa, data, 900)).additional(a_record(300)));
  };
  const Octets whole = pointer(16) + name("hostmaster.example.com") + numbers(300);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(negative(Octets(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))) == "no SOA");
  }
  CHECK(negative(whole) == "nxdomain 300");
  CHECK(negative(whole + hex("00")) == "no SOA");
  CHECK(negative(pointer(200) + pointer(16) + numbers(300)) == "no SOA");
  CHECK(negative(pointer(45) + pointer(16) + numbers(300)) == "no SOA");  // leads to itself
  CHECK(negative(hex("40") + pointer(16) + numbers(300)) == "no SOA");
}

// ---- failures, and what is not kept ----

TEST_CASE("any other RCODE is a failure without a life of its own") {
  for (const unsigned rcode : {1U, 2U, 4U, 5U, 6U, 9U, 15U}) {
    CAPTURE(rcode);
    CHECK(life(responding(0x8180 | rcode)) == "failure");
    CHECK(life(responding(0x8180 | rcode).answer(a_record(0)).authority(soa(900, 300))) == "failure");
  }
  CHECK(life(responding(kNoError).opt({.extended_rcode = 1})) == "failure");   // BADVERS
  CHECK(life(responding(kNxdomain).opt({.extended_rcode = 1})) == "failure");  // 19 is not NXDOMAIN
  CHECK(fields_of(responding(0x8182).authority(soa(900, 300))).size() == 1);
}

TEST_CASE("a truncated response is not kept, whatever its RCODE") {
  CHECK(life(responding(kNoError | 0x0200).answer(a_record(300))) == "truncated");
  CHECK(life(responding(kNxdomain | 0x0200).authority(soa(900, 300))) == "truncated");
  CHECK(life(responding(0x8182 | 0x0200)) == "truncated");
}

TEST_CASE("a response without its question or of another opcode is not kept") {
  CHECK(life(MessageBuilder(1, kNoError).answer(a_record(300, name("a.test")))) == "malformed");
  CHECK(life(MessageBuilder(1, 0x8182)) == "malformed");
  CHECK(life(responding(kNoError | 0x2000).answer(a_record(300))) == "malformed");
}

TEST_CASE("a response that is cut off anywhere is not kept, nor read past its end") {
  const Octets message = responding()
                             .answer(alias(pointer(12), name("web.example.net")))
                             .answer(a_record(300, name("web.example.net")))
                             .authority(soa(900, 300))
                             .opt();
  CHECK(life(message) == "positive 300");
  for (std::size_t size = 0; size < message.size(); ++size) {
    CAPTURE(size);
    CHECK(life(Octets(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size))) == "no response");
  }
  // A message that has changed since it was parsed.
  auto response = parse_response(message);
  REQUIRE(response);
  response->size = message.size() - 1;
  std::array<std::uint16_t, kFields> fields;
  CHECK(lifetime_of(message, *response, fields).obstacle == Obstacle::malformed);
}

TEST_CASE("octets behind the last record do not count") {
  const Octets message = responding().answer(a_record(300)).uncounted(a_record(1));
  CHECK(life(message) == "positive 300");
  CHECK(fields_of(message).size() == 1);
}

}  // namespace
}  // namespace dotrelay::dns
