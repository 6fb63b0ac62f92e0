// What the relay reads of queries and answers, and the verdict on each class of malformed query, in the order of checks
// that docs/manual.md gives: silence, NOTIMP, FORMERR, BADVERS, REFUSED, NOTIMP for TSIG.
#include "dns/message_view.hpp"

#include "dns/name.hpp"
#include "message_builder.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

constexpr unsigned kRd = 0x0100;
constexpr unsigned kQr = 0x8000;
constexpr unsigned kNotify = 4U << 11;

std::string rcode_text(Rcode rcode) {
  switch (rcode) {
    case Rcode::noerror:
      return "NOERROR";
    case Rcode::formerr:
      return "FORMERR";
    case Rcode::servfail:
      return "SERVFAIL";
    case Rcode::nxdomain:
      return "NXDOMAIN";
    case Rcode::notimp:
      return "NOTIMP";
    case Rcode::refused:
      return "REFUSED";
    case Rcode::badvers:
      return "BADVERS";
  }
  return std::to_string(static_cast<unsigned>(rcode));
}

/// "relay", "silence", or the RCODE and what of the query the answer can repeat: "FORMERR question opt".
std::string verdict(const Octets& query) {
  const QueryVerdict verdict = parse_query(query);
  switch (verdict.kind) {
    case QueryVerdict::Kind::relay:
      REQUIRE(verdict.query.question);
      return "relay";
    case QueryVerdict::Kind::ignore:
      return "silence";
    case QueryVerdict::Kind::answer:
      break;
  }
  return rcode_text(verdict.rcode) + (verdict.query.question ? " question" : "") + (verdict.query.opt ? " opt" : "");
}

MessageBuilder asking(unsigned type = 1, unsigned klass = 1) {
  return MessageBuilder(0x1234, kRd).question("www.example.com", type, klass);
}

Octets tsig_record() {
  return record(name("key"), 250, name("hmac-sha256") + hex("000065a00000 012c 0000 1234 0000 0000"), 0, 255);
}

TEST_CASE("a sound query shows header, question and OPT") {
  const Octets query = MessageBuilder(0xabcd, 0x0130)
                           .question("WWW.example.com", 28)
                           .opt({.udp_size = 4096, .dnssec_ok = true}, edns_option(10, hex("0102030405060708")));
  const QueryVerdict verdict = parse_query(query);
  REQUIRE(verdict.kind == QueryVerdict::Kind::relay);
  CHECK(verdict.query.header.id == 0xabcd);
  CHECK(verdict.query.header.has(flag::rd));
  CHECK(verdict.query.header.has(flag::ad));
  CHECK(verdict.query.header.has(flag::cd));
  CHECK_FALSE(verdict.query.header.has(flag::tc));
  CHECK(verdict.query.header.opcode() == 0);
  REQUIRE(verdict.query.question);
  CHECK(to_text(verdict.query.question->name) == "WWW.example.com.");
  CHECK(verdict.query.question->name.data() == query.data() + 12);
  CHECK(verdict.query.question->type == type::aaaa);
  CHECK(verdict.query.question->klass == klass::in);
  CHECK(verdict.query.question->wire_size() == 21);
  REQUIRE(verdict.query.opt);
  CHECK(verdict.query.opt->udp_size == 4096);
  CHECK(verdict.query.opt->dnssec_ok);
  CHECK(verdict.query.opt->version == 0);
  CHECK(verdict.query.opt->offset == 12 + 21);
  CHECK(verdict.query.opt->size == 11 + 12);
  CHECK(verdict.query.opt->options.size() == 12);
}

TEST_CASE("sound queries of every kind are relayed") {
  CHECK(verdict(asking()) == "relay");
  CHECK(verdict(MessageBuilder().question(".", 2)) == "relay");
  CHECK(verdict(MessageBuilder().question(name_of_size(255))) == "relay");
  CHECK(verdict(asking(255)) == "relay");                               // ANY
  CHECK(verdict(asking(1, 255)) == "relay");                            // QCLASS ANY
  CHECK(verdict(asking(65535)) == "relay");                             // an unassigned type
  CHECK(verdict(MessageBuilder(1, 0).question("a")) == "relay");        // RD off
  CHECK(verdict(MessageBuilder(1, 0x07b0).question("a")) == "relay");   // AA, TC, RA, AD, CD: meaningless in a query
  CHECK(verdict(MessageBuilder(1, kRd | 5).question("a")) == "relay");  // an RCODE in a query
  CHECK(verdict(asking().opt()) == "relay");
  CHECK(verdict(asking().opt({.udp_size = 0})) == "relay");
  CHECK(verdict(asking().opt({.extended_rcode = 7})) == "relay");
  CHECK(verdict(asking().opt({}, edns_option(65001, hex("001122334455")))) == "relay");
  CHECK(verdict(asking().opt().additional(record(name("a"), 1, hex("7f000001")))) == "relay");  // OPT not last
  CHECK(verdict(asking().answer(record(pointer(12), 1, hex("7f000001")))) == "relay");
}

TEST_CASE("octets behind a well-formed query are ignored") {
  CHECK(verdict(asking().uncounted(hex("00"))) == "relay");
  CHECK(verdict(asking().opt().uncounted(hex("00"))) == "relay");
  CHECK(verdict(asking().uncounted(opt_record())) == "relay");  // an OPT that ARCOUNT does not know of is none
  CHECK_FALSE(parse_query(asking().uncounted(opt_record()).build()).query.opt);
}

TEST_CASE("silence: what is too short to be a message") {
  const Octets query = asking();
  for (std::size_t size = 0; size < 12; ++size) {
    CHECK(verdict(Octets(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(size))) == "silence");
  }
}

TEST_CASE("silence: answers, whatever else is wrong with them, lest two servers answer each other for ever") {
  CHECK(verdict(MessageBuilder(1, kQr).question("a")) == "silence");
  CHECK(verdict(MessageBuilder(1, kQr | kNotify)) == "silence");
  CHECK(verdict(MessageBuilder(1, kQr | 1)) == "silence");
  CHECK(verdict(MessageBuilder(1, kQr).question("a", 252).uncounted(hex("00"))) == "silence");
}

TEST_CASE("NOTIMP: opcodes other than QUERY, before anything else about them") {
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    CHECK(verdict(MessageBuilder(1, opcode << 11).question("a")) == "NOTIMP question");
  }
  CHECK(verdict(MessageBuilder(1, kNotify)) == "NOTIMP");
  CHECK(verdict(MessageBuilder(1, kNotify).question("a").opt()) == "NOTIMP question opt");
  CHECK(verdict(MessageBuilder(1, kNotify).question("a").opt({.version = 1})) == "NOTIMP question opt");
  CHECK(verdict(MessageBuilder(1, kNotify).question("a", 252, 3)) == "NOTIMP question");
  CHECK(verdict(MessageBuilder(1, kNotify).uncounted(hex("ff"))) == "NOTIMP");
}

TEST_CASE("FORMERR: any number of questions but one") {
  CHECK(verdict(MessageBuilder()) == "FORMERR");
  CHECK(verdict(MessageBuilder().question("a").question("b")) == "FORMERR");
  CHECK(verdict(MessageBuilder().claim(0, 65535)) == "FORMERR");
  // The OPT is there to be found all the same: without one the client would think that this server knows no EDNS.
  CHECK(verdict(MessageBuilder().opt()) == "FORMERR opt");
  CHECK(verdict(MessageBuilder().question("a").question("b").opt()) == "FORMERR opt");
}

TEST_CASE("FORMERR: a question that cannot be read") {
  CHECK(verdict(MessageBuilder().claim(0, 1)) == "FORMERR");
  CHECK(verdict(MessageBuilder().claim(0, 1).uncounted(hex("03 777777"))) == "FORMERR");
  CHECK(verdict(MessageBuilder().claim(0, 1).uncounted(hex("03 777777 00 0001"))) == "FORMERR");
  CHECK(verdict(MessageBuilder().claim(0, 1).uncounted(hex("03 777777 00 0001 00"))) == "FORMERR");
  CHECK(verdict(MessageBuilder().question(pointer(12))) == "FORMERR");
  CHECK(verdict(MessageBuilder().question(hex("03 777777") + pointer(12))) == "FORMERR");
  CHECK(verdict(MessageBuilder().question(pointer(0))) == "FORMERR");
  CHECK(verdict(MessageBuilder().question(u8(64) + Octets(64, 'a') + u8(0))) == "FORMERR");
  CHECK(verdict(MessageBuilder().question(name_of_size(256))) == "FORMERR");
}

TEST_CASE("FORMERR: records that are missing") {
  CHECK(verdict(asking().claim(1, 1)) == "FORMERR question");
  CHECK(verdict(asking().claim(3, 1)) == "FORMERR question");
  CHECK(verdict(asking().claim(1, 65535).claim(2, 65535).claim(3, 65535)) == "FORMERR question");
  CHECK(verdict(asking().opt().claim(3, 2)) == "FORMERR question opt");
}

TEST_CASE("FORMERR: a record that is cut off, at every octet") {
  const Octets query = asking().opt({}, edns_option(10, hex("0102030405060708")));
  for (std::size_t size = 12 + 21; size < query.size(); ++size) {
    CAPTURE(size);
    CHECK(verdict(Octets(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(size))) == "FORMERR question");
  }
  for (std::size_t size = 12; size < 12 + 21; ++size) {
    CAPTURE(size);
    CHECK(verdict(Octets(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(size))) == "FORMERR");
  }
}

TEST_CASE("FORMERR: a record whose owner is no name") {
  CHECK(verdict(asking().additional(record(hex("40"), 1, hex("7f000001")))) == "FORMERR question");
  CHECK(verdict(asking().additional(record(name_of_size(256), 1, hex("7f000001")))) == "FORMERR question");
}

TEST_CASE("FORMERR: OPT records that break RFC 6891 6.1.1") {
  CHECK(verdict(asking().opt().opt()) == "FORMERR question opt");
  CHECK(verdict(asking().additional(record(name("a"), 41, {}, 0, 1232))) == "FORMERR question");
  CHECK(verdict(asking().additional(record(pointer(32), 41, {}, 0, 1232))) ==
        "FORMERR question");  // points at a root label
  CHECK(verdict(asking().answer(opt_record())) == "FORMERR question opt");
  CHECK(verdict(asking().authority(opt_record())) == "FORMERR question opt");
}

TEST_CASE("FORMERR: options past the end of their OPT") {
  CHECK(verdict(asking().opt({}, hex("00"))) == "FORMERR question opt");
  CHECK(verdict(asking().opt({}, hex("000a 00"))) == "FORMERR question opt");
  CHECK(verdict(asking().opt({}, hex("000a 0001"))) == "FORMERR question opt");
  CHECK(verdict(asking().opt({}, hex("000a 0008 01020304"))) == "FORMERR question opt");
  CHECK(verdict(asking().opt({}, edns_option(3) + hex("000c ffff"))) == "FORMERR question opt");
}

TEST_CASE("FORMERR comes before BADVERS, BADVERS before REFUSED, REFUSED before TSIG") {
  CHECK(verdict(asking().opt({.version = 1}).opt()) == "FORMERR question opt");
  CHECK(verdict(asking().opt({.version = 1}, hex("00"))) == "FORMERR question opt");
  CHECK(verdict(asking(252).opt({.version = 1})) == "BADVERS question opt");
  CHECK(verdict(asking(252).additional(tsig_record())) == "REFUSED question");
  CHECK(verdict(asking().opt({.version = 1}).additional(tsig_record())) == "BADVERS question opt");
}

TEST_CASE("BADVERS: EDNS versions that do not exist") {
  CHECK(verdict(asking().opt({.version = 1})) == "BADVERS question opt");
  CHECK(verdict(asking().opt({.version = 255})) == "BADVERS question opt");
}

TEST_CASE("REFUSED: zone transfers and key negotiation") {
  CHECK(verdict(asking(252)) == "REFUSED question");
  CHECK(verdict(asking(251).authority(record(pointer(12), 6, name(".") + name(".") + Octets(20, 0)))) ==
        "REFUSED question");
  CHECK(verdict(asking(249)) == "REFUSED question");
  CHECK(verdict(asking(252).opt()) == "REFUSED question opt");
}

TEST_CASE("FORMERR: types that are no questions, with a reason of their own") {
  for (const unsigned type : {0U, 41U, 128U, 250U}) {
    CAPTURE(type);
    CHECK(verdict(asking(type)) == "FORMERR question");
    CHECK(verdict(asking(type).opt()) == "FORMERR question opt");
    CHECK(parse_query(asking(type).build()).reason == ExtendedError::invalid_query_type);
    CHECK(verdict(asking(type).opt({.version = 1})) == "BADVERS question opt");
    CHECK_FALSE(parse_query(asking(type).opt({.version = 1}).build()).reason);
  }
  for (const unsigned type : {1U, 40U, 42U, 127U, 129U, 255U}) CHECK(verdict(asking(type)) == "relay");
  CHECK_FALSE(parse_query(asking().opt().opt().build()).reason);
}

TEST_CASE("REFUSED: classes other than IN and ANY") {
  for (const unsigned klass : {0U, 2U, 3U, 4U, 254U, 256U, 65535U}) {
    CHECK(verdict(MessageBuilder().question("version.bind", 16, klass)) == "REFUSED question");
  }
}

TEST_CASE("NOTIMP: signed queries, since the relay changes what was signed") {
  CHECK(verdict(asking().additional(tsig_record())) == "NOTIMP question");
  CHECK(verdict(asking().opt().additional(tsig_record())) == "NOTIMP question opt");
}

TEST_CASE("questions are the same without case, with type and class") {
  const Octets lower = name("example.com");
  const Octets upper = name("EXAMPLE.com");
  const Octets other = name("example.org");
  CHECK(same_question({lower, 1, 1}, {upper, 1, 1}));
  CHECK_FALSE(same_question({lower, 1, 1}, {other, 1, 1}));
  CHECK_FALSE(same_question({lower, 1, 1}, {lower, 28, 1}));
  CHECK_FALSE(same_question({lower, 1, 1}, {lower, 1, 255}));
}

MessageBuilder answering(unsigned flags = 0x8180) {
  return MessageBuilder(0x1234, flags).question("www.example.com").answer(record(pointer(12), 1, hex("c0000201")));
}

TEST_CASE("a sound answer shows header, question, OPT and size") {
  const Octets message = answering().opt({.udp_size = 512, .extended_rcode = 1}, edns_option(15, hex("0016 6f6e65")));
  const auto response = parse_response(message);
  REQUIRE(response);
  CHECK(response->header.id == 0x1234);
  REQUIRE(response->question);
  CHECK(to_text(response->question->name) == "www.example.com.");
  REQUIRE(response->opt);
  CHECK(response->opt->udp_size == 512);
  CHECK(response->opt->offset == 12 + 21 + 16);
  CHECK(response->opt->size == 11 + 9);
  CHECK(response->size == message.size());
  CHECK(response->rcode() == Rcode::badvers);
  CHECK_FALSE(response->explained_by_dnssec());
}

TEST_CASE("an answer without OPT has the RCODE of its header, and no Extended DNS Error") {
  const Octets message = answering(0x8183);
  const auto response = parse_response(message);
  REQUIRE(response);
  CHECK(response->rcode() == Rcode::nxdomain);
  CHECK_FALSE(response->explained_by_dnssec());
}

TEST_CASE("any whole Extended DNS Error about DNSSEC counts, wherever it stands") {
  const auto dnssec = [](const Octets& options) {
    const Octets message = answering().opt({}, options);
    const auto response = parse_response(message);
    REQUIRE(response);
    return response->explained_by_dnssec();
  };
  CHECK_FALSE(dnssec({}));
  CHECK_FALSE(dnssec(edns_option(15)));
  CHECK_FALSE(dnssec(edns_option(15, hex("00"))));
  CHECK_FALSE(dnssec(edns_option(3, hex("0006"))));
  for (const int code : {0, 3, 4, 13, 22, 23}) CHECK_FALSE(dnssec(edns_option(15, u16(code))));
  for (const int code : {1, 2, 5, 6, 7, 8, 9, 10, 11, 12}) CHECK(dnssec(edns_option(15, u16(code))));
  CHECK(dnssec(edns_option(15, hex("00")) + edns_option(15, hex("0016")) + edns_option(15, hex("0009"))));
}

TEST_CASE("a filter explains itself by an Extended DNS Error, in any place among several") {
  const auto blocked = [](const Octets& options) {
    const Octets message = answering().opt({}, options);
    return parse_response(message)->blocked_by_policy();
  };
  const Octets plain = answering();
  CHECK_FALSE(parse_response(plain)->blocked_by_policy());
  CHECK_FALSE(blocked({}));
  CHECK_FALSE(blocked(edns_option(15, hex("0f"))));
  CHECK_FALSE(blocked(edns_option(3, u16(15))));
  for (const int code : {0, 1, 14, 19, 22, 271}) CHECK_FALSE(blocked(edns_option(15, u16(code))));
  for (const int code : {15, 16, 17, 18}) CHECK(blocked(edns_option(15, u16(code) + characters("why"))));
  CHECK(blocked(edns_option(15, u16(22)) + edns_option(12, {}) + edns_option(15, u16(17))));
}

TEST_CASE("errors may come without a question: a header alone is an answer") {
  const Octets message = MessageBuilder(7, 0x8001);
  const auto response = parse_response(message);
  REQUIRE(response);
  CHECK_FALSE(response->question);
  CHECK(response->rcode() == Rcode::formerr);
  CHECK(response->size == 12);
}

TEST_CASE("octets behind the last record do not count") {
  const Octets message = answering().uncounted(hex("deadbeef"));
  const auto response = parse_response(message);
  REQUIRE(response);
  CHECK(response->size == message.size() - 4);
}

TEST_CASE("what is no well-formed answer is none") {
  const auto sound = [](const Octets& message) { return parse_response(message).has_value(); };
  CHECK_FALSE(sound({}));
  CHECK_FALSE(sound(hex("1234 8180")));
  CHECK_FALSE(sound(answering(0x0100)));                                   // QR not set
  CHECK_FALSE(sound(MessageBuilder(1, kQr).question("a").question("b")));  // two questions
  CHECK_FALSE(sound(MessageBuilder(1, kQr).question(pointer(12))));        // a QNAME that points to itself
  CHECK_FALSE(sound(MessageBuilder(1, kQr).claim(0, 1)));
  CHECK_FALSE(sound(answering().claim(1, 2)));  // a record that is missing
  CHECK_FALSE(sound(answering().claim(3, 65535)));
  CHECK_FALSE(sound(answering().opt().opt()));
  CHECK_FALSE(sound(answering().answer(opt_record())));
  CHECK_FALSE(sound(answering().additional(record(name("a"), 41, {}))));
  CHECK_FALSE(sound(answering().opt({}, hex("000f 0004 0016"))));
  const Octets whole = answering().opt({}, edns_option(15, hex("0016")));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(sound(Octets(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
  }
}

TEST_CASE("of a message that is no answer to relay the query that it was meant for can be read") {
  CHECK_FALSE(read_broken_answer({}));
  CHECK_FALSE(read_broken_answer(hex("123481")));
  const auto header_only = read_broken_answer(hex("1234 8180"));
  REQUIRE(header_only);
  CHECK(header_only->id == 0x1234);
  CHECK(header_only->response);
  CHECK_FALSE(header_only->question);
  CHECK_FALSE(read_broken_answer(hex("1234 0180"))->response);
  CHECK_FALSE(read_broken_answer(hex("1234 a180"))->response);
  const Octets too_few = MessageBuilder(7, kQr).question("www.example", 28).claim(1, 3);
  const auto broken = read_broken_answer(too_few);
  REQUIRE(broken->question);
  CHECK(equal(broken->question->name, name("www.example")));
  CHECK(broken->question->type == 28);
  const Octets two = MessageBuilder(7, kQr).question("a").question("b");
  CHECK(equal(read_broken_answer(two)->question->name, name("a")));
  const Octets pointing = MessageBuilder(7, kQr).question(pointer(12));
  CHECK_FALSE(read_broken_answer(pointing)->question);
}

TEST_CASE("the largest message with as many records as fit") {
  MessageBuilder builder(1, kQr);
  builder.question(".");
  Octets message = builder;
  const Octets smallest = record(u8(0), 1, {});
  unsigned count = 0;
  while (message.size() + smallest.size() <= 65535) {
    message.insert(message.end(), smallest.begin(), smallest.end());
    ++count;
  }
  message[6] = static_cast<std::uint8_t>(count >> 8);
  message[7] = static_cast<std::uint8_t>(count);
  const auto response = parse_response(message);
  REQUIRE(response);
  CHECK(response->size == message.size());
}

}  // namespace
}  // namespace dotrelay::dns
