// Answers as clients get them, as transcripts: the same upstream octets fitted to askers that differ in ID, spelling,
// EDNS, transport and size, and the answers of the relay's own.
#include "dns/client_response.hpp"

#include "dns/upstream_query.hpp"
#include "transcript.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

constexpr Transport kUdp{};
constexpr Transport kTcp{.tcp = true, .keepalive = 300};

Octets buffer_of(Bytes written) { return {written.begin(), written.end()}; }

/// What `query` makes its asker. The views in the query do not outlive this.
Asker asker(const Octets& query, Transport transport = kUdp) { return Asker(parse_query(query).query, transport); }

/// The upstream's `message` as the client that sent `query` gets it.
Octets relayed(const Octets& message, const Octets& query, Transport transport = kUdp) {
  const auto response = parse_response(message);
  REQUIRE(response);
  Octets buffer(kResponseBuffer, 0xee);
  const QueryView asked = parse_query(query).query;
  return buffer_of(write_relayed_response(buffer, message, *response, Asker(asked, transport), asked.question->name));
}

std::string relayed_text(const Octets& message, const Octets& query, Transport transport = kUdp) {
  return transcript(relayed(message, query, transport));
}

/// What a listener does with octets that came in, up to the point where the upstream would be asked.
std::string at_once(const Octets& query, Transport transport = kUdp,
                    const std::optional<Explanation>& explanation = {}) {
  const QueryVerdict verdict = parse_query(query);
  if (verdict.kind == QueryVerdict::Kind::ignore) return "silence";
  const Asker asker(verdict.query, transport);
  Octets buffer(kResponseBuffer, 0xee);
  if (verdict.kind == QueryVerdict::Kind::answer) {
    return transcript(write_error_response(buffer, asker, verdict.query.question, verdict.rcode, explanation));
  }
  return "relay";
}

/// The answer of a local zone, with the last `labels` labels of the name as its apex.
std::string locally(const Octets& query, LocalZone zone, std::size_t labels = 1, Transport transport = kUdp) {
  const QueryVerdict verdict = parse_query(query);
  REQUIRE(verdict.kind == QueryVerdict::Kind::relay);
  const Question& question = *verdict.query.question;
  Octets buffer(kResponseBuffer, 0xee);
  return transcript(write_local_response(buffer, Asker(verdict.query, transport), question,
                                         local_answer(zone, question, last_labels(question.name, labels))));
}

MessageBuilder asking(std::string_view qname = "www.example.com", unsigned type = 1) {
  return MessageBuilder(0x1234, 0x0100).question(qname, type);
}

/// An answer with one A record, to be continued. Its OPT would stand at octet 49.
MessageBuilder answering(unsigned flags = 0x8180) {
  return MessageBuilder(0xbeef, flags).question("www.example.com").answer(record(pointer(12), 1, hex("c0000201")));
}

// ---- the asker ----

TEST_CASE("the size that an answer may have") {
  CHECK(asker(asking()).size_limit == 512);
  CHECK(asker(asking().opt({.udp_size = 0})).size_limit == 512);
  CHECK(asker(asking().opt({.udp_size = 511})).size_limit == 512);
  CHECK(asker(asking().opt({.udp_size = 513})).size_limit == 513);
  CHECK(asker(asking().opt({.udp_size = 1232})).size_limit == 1232);
  CHECK(asker(asking().opt({.udp_size = 1233})).size_limit == 1232);
  CHECK(asker(asking().opt({.udp_size = 65535})).size_limit == 1232);
  CHECK(asker(asking(), kTcp).size_limit == 65535);
  CHECK(asker(asking().opt({.udp_size = 512}), kTcp).size_limit == 65535);
}

TEST_CASE("keepalive is answered over TCP, when asked for") {
  CHECK(asker(asking().opt({}, edns_option(11)), kTcp).keepalive == 300);
  CHECK(asker(asking().opt({}, edns_option(3) + edns_option(11)), kTcp).keepalive == 300);
  CHECK_FALSE(asker(asking().opt(), kTcp).keepalive);
  CHECK_FALSE(asker(asking(), kTcp).keepalive);
  CHECK_FALSE(asker(asking().opt({}, edns_option(11)), kUdp).keepalive);  // RFC 7828 3.2.1: never over UDP
}

// ---- relaying ----

TEST_CASE("ID and spelling become the client's, everything else stays") {
  const Octets upstream = answering(0x8580).opt({}, edns_option(12, Octets(40, 0)));
  CHECK(relayed_text(upstream, MessageBuilder(0x4321, 0).question("wWw.EXAMPLE.com")) ==
        "4321 response aa rd ra NOERROR\n"
        "question wWw.EXAMPLE.com. A IN\n"
        "answer wWw.EXAMPLE.com. 300 A IN c0000201\n");
}

TEST_CASE("AA, TC, RD, RA, AD, CD and the RCODE come back as they are") {
  for (unsigned bits = 0; bits < 64; ++bits) {
    unsigned flags = 0x8000;
    const std::array<unsigned, 6> each = {0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010};
    for (std::size_t i = 0; i < each.size(); ++i) flags |= (bits >> i & 1) != 0 ? each[i] : 0;
    const unsigned rcode = bits % 16;
    const Octets out = relayed(answering(flags | rcode).opt(), asking());
    CHECK(load_u16(&out[2]) == (flags | rcode));
  }
}

TEST_CASE("the upstream's OPT stays on its hop: the client gets one of the relay's own, with what concerns the data") {
  const Octets upstream = answering().opt(
      {.udp_size = 4096, .dnssec_ok = true},
      edns_option(3, characters("gpdns")) + edns_option(10, Octets(16, 7)) + edns_option(11, hex("0064")) +
          edns_option(15, hex("0003 7374616c65")) + edns_option(19, hex("0200 00000007")) +
          edns_option(8, hex("0001 18 00 c00002")) + edns_option(65001, hex("01")) + edns_option(12, Octets(300, 0)));
  CHECK(relayed_text(upstream, asking().opt()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "opt 1232\n"
        "option 3 6770646e73\n"
        "option 15 00037374616c65\n"
        "option 19 020000000007\n");
}

TEST_CASE("a client with EDNS gets an OPT even when the upstream sent none, with its own DO") {
  CHECK(relayed_text(answering(), asking().opt({.dnssec_ok = true})) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "opt 1232 do\n");
}

TEST_CASE("a client without EDNS gets no OPT") {
  CHECK(relayed_text(answering().opt({.dnssec_ok = true}, edns_option(15, hex("0003"))), asking()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n");
}

TEST_CASE("several waiters on one answer each get their own fit of it") {
  const Octets upstream = answering().opt({}, edns_option(15, hex("0003")));
  CHECK(relayed_text(upstream, MessageBuilder(1, 0).question("WWW.example.com").opt()) ==
        "0001 response rd ra NOERROR\nquestion WWW.example.com. A IN\nanswer WWW.example.com. 300 A IN c0000201\nopt "
        "1232\noption 15 0003\n");
  CHECK(relayed_text(upstream, MessageBuilder(2, 0).question("www.EXAMPLE.com"), kTcp) ==
        "0002 response rd ra NOERROR\nquestion www.EXAMPLE.com. A IN\nanswer www.EXAMPLE.com. 300 A IN c0000201\n");
  CHECK(relayed_text(upstream, MessageBuilder(3, 0).question("www.example.COM").opt({}, edns_option(11)), kTcp) ==
        "0003 response rd ra NOERROR\nquestion www.example.COM. A IN\nanswer www.example.COM. 300 A IN c0000201\nopt "
        "1232\noption 11 012c\noption 15 0003\n");
}

TEST_CASE("an extended RCODE reaches an EDNS client and is SERVFAIL for others") {
  const Octets upstream =
      MessageBuilder(1, 0x8187).question("www.example.com").opt({.extended_rcode = 1});  // 23, BADCOOKIE
  CHECK(relayed_text(upstream, asking().opt()) ==
        "1234 response rd ra RCODE7\nquestion www.example.com. A IN\nopt 1232 extended1\n");
  CHECK(relayed_text(upstream, asking()) == "1234 response rd ra SERVFAIL\nquestion www.example.com. A IN\n");
  const Octets badvers = MessageBuilder(1, 0x8180).question("www.example.com").opt({.extended_rcode = 1});
  CHECK(relayed_text(badvers, asking()) == "1234 response rd ra SERVFAIL\nquestion www.example.com. A IN\n");
}

TEST_CASE("octets behind the upstream's last record are not relayed") {
  CHECK(relayed_text(answering().opt().uncounted(hex("deadbeef")), asking()) ==
        "1234 response rd ra NOERROR\nquestion www.example.com. A IN\nanswer www.example.com. 300 A IN c0000201\n");
}

// ---- stale answers ----

/// The kept `message`, whose own life is over, as the client that sent `query` gets it.
std::string stale_text(const Octets& message, const Octets& query, Transport transport = kUdp) {
  const auto response = parse_response(message);
  REQUIRE(response);
  Octets buffer(kResponseBuffer, 0xee);
  const QueryView asked = parse_query(query).query;
  return transcript(write_stale_response(buffer, message, *response, Asker(asked, transport), asked.question->name));
}

TEST_CASE("a stale answer says so to a client with EDNS, beside what the upstream said") {
  CHECK(stale_text(answering(), asking().opt()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "opt 1232\n"
        "option 15 0003\n");
  CHECK(stale_text(answering().opt({}, edns_option(15, hex("0011"))), asking().opt({}, edns_option(11)), kTcp) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "opt 1232\n"
        "option 11 012c\n"
        "option 15 0003\n"
        "option 15 0011\n");
}

TEST_CASE("a stale NXDOMAIN has a code of its own") {
  CHECK(stale_text(MessageBuilder(1, 0x8183).question("www.example.com"), asking().opt()) ==
        "1234 response rd ra NXDOMAIN\nquestion www.example.com. A IN\nopt 1232\noption 15 0013\n");
}

TEST_CASE("a stale answer to a client without EDNS is like any other") {
  CHECK(stale_text(answering(), asking()) == relayed_text(answering(), asking()));
}

TEST_CASE("a stale answer that leaves no room for an option has none") {
  const Octets upstream = answering().answer(record(pointer(12), 16, Octets(440, 'x')));  // 501 octets
  const Octets query = asking().opt({.udp_size = 512});
  CHECK(stale_text(upstream, query) == relayed_text(upstream, query));
}

// ---- an OPT that is not last ----

TEST_CASE("OPT not last and no pointer behind it: cut, and the client's own goes last") {
  const Octets upstream = answering()
                              .additional(record(name("ns.example.net"), 1, hex("0a000001")))
                              .opt({}, edns_option(12, Octets(8, 0)))
                              .additional(record(pointer(16), 1, hex("0a000002")));  // 16: example.com in the QNAME
  CHECK(relayed_text(upstream, asking()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "additional ns.example.net. 300 A IN 0a000001\n"
        "additional example.com. 300 A IN 0a000002\n");
  CHECK(relayed_text(upstream, asking().opt()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "additional ns.example.net. 300 A IN 0a000001\n"
        "additional example.com. 300 A IN 0a000002\n"
        "opt 1232\n");
}

/// An answer whose OPT is followed by a name and by a pointer to that name.
Octets answer_with_pointer_behind(const Octets& options, unsigned extended_rcode = 0) {
  MessageBuilder builder =
      answering().opt({.udp_size = 4096, .dnssec_ok = true, .extended_rcode = extended_rcode}, options);
  const std::size_t behind = builder.size();
  return builder.additional(record(name("mail.example.net"), 1, hex("0a000001")))
      .additional(record(pointer(behind), 28, Octets(16, 1)));
}

TEST_CASE("OPT not last and a pointer behind it: cut, and the pointer leads to the same name") {
  const std::string records =
      "1234 response rd ra NOERROR\nquestion www.example.com. A IN\nanswer www.example.com. 300 A IN c0000201\n"
      "additional mail.example.net. 300 A IN 0a000001\n"
      "additional mail.example.net. 300 AAAA IN 01010101010101010101010101010101\n";
  const Octets cookie = edns_option(10, Octets(16, 7));
  const Octets error = edns_option(15, hex("0003"));
  CHECK(relayed_text(answer_with_pointer_behind(cookie), asking()) == records);
  CHECK(relayed_text(answer_with_pointer_behind({}), asking()) == records);
  CHECK(relayed_text(answer_with_pointer_behind(error), asking(), kTcp) == records);
  CHECK(relayed_text(answer_with_pointer_behind(cookie), asking().opt({.dnssec_ok = true})) ==
        records + "opt 1232 do\n");
  CHECK(relayed_text(answer_with_pointer_behind(cookie + error), asking().opt({}, edns_option(11)), kTcp) ==
        records + "opt 1232\noption 11 012c\noption 15 0003\n");
}

TEST_CASE("OPT not last: the extended RCODE is SERVFAIL without EDNS") {
  const std::string text = relayed_text(answer_with_pointer_behind({}, 1), asking());
  CHECK(text.starts_with("1234 response rd ra SERVFAIL\n"));
  CHECK(text.find("opt") == std::string::npos);
  CHECK(relayed_text(answer_with_pointer_behind({}, 1), asking().opt()).ends_with("opt 1232 extended1\n"));
}

TEST_CASE("octets behind an OPT that only look like a pointer stay as they are: an address in 192.168.0.0/16") {
  const Octets upstream = answering()
                              .opt({}, edns_option(12, Octets(8, 0)))
                              .additional(record(name("router.test"), 1, hex("c0a80001")))
                              .additional(record(name("t.test"), 16, hex("03 c0ffc0")));
  CHECK(relayed_text(upstream, asking()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "additional router.test. 300 A IN c0a80001\n"
        "additional t.test. 300 TXT IN 03c0ffc0\n");
}

TEST_CASE("pointers in the data behind the OPT are found in each type that may have them") {
  MessageBuilder builder = answering().opt({}, edns_option(12, Octets(4, 0)));
  const std::size_t behind = builder.size();
  const Octets to_a = pointer(behind);
  const Octets upstream =
      builder.additional(record(name("a.test"), 1, hex("0a000001")))
          .additional(record(pointer(12), 5, to_a))
          .additional(record(to_a, 2, hex("026e73") + to_a))
          .additional(record(to_a, 12, to_a))
          .additional(record(name("b"), 15, hex("000a") + to_a))
          .additional(record(name("c"), 6, pointer(16) + to_a + Octets(20, 1)))
          .additional(record(name("d"), 33, hex("000100020035") + hex("0173") + to_a))
          .additional(record(name("e"), 35, hex("00010002 0173 02c0c0 00") + to_a))
          .additional(record(name("f"), 65280, to_a));  // unknown types have no pointers (RFC 3597 4)
  CHECK(relayed_text(upstream, asking()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "additional a.test. 300 A IN 0a000001\n"
        "additional www.example.com. 300 CNAME IN a.test.\n"
        "additional a.test. 300 NS IN ns.a.test.\n"
        "additional a.test. 300 PTR IN a.test.\n"
        "additional b. 300 MX IN 000a a.test.\n"
        "additional c. 300 SOA IN example.com. a.test. " +
            to_hex(Octets(20, 1)) +
            "\n"
            "additional d. 300 SRV IN 000100020035 s.a.test.\n"
            "additional e. 300 NAPTR IN 00010002017302c0c000 a.test.\n"
            "additional f. 300 TYPE65280 IN " +
            to_hex(to_a) + "\n");
}

TEST_CASE("a pointer to the OPT's owner: names that borrow its root label still end") {
  MessageBuilder builder = answering();
  const std::size_t opt_offset = builder.size();
  // An odd compressor may end a name with a pointer to any root label before it, and the OPT's owner is one.
  const Octets upstream = builder.opt({}, edns_option(15, hex("0003")))
                              .additional(record(hex("01 62") + pointer(opt_offset), 1, hex("0a000001")));
  CHECK(relayed_text(upstream, asking()) ==
        "1234 response rd ra NOERROR\n"
        "question www.example.com. A IN\n"
        "answer www.example.com. 300 A IN c0000201\n"
        "additional b. 300 A IN 0a000001\n");
}

TEST_CASE("without additional records, when one behind the OPT cannot be moved") {
  const std::string without =
      "1234 response rd ra NOERROR\nquestion www.example.com. A IN\nanswer www.example.com. 300 A IN c0000201\n";
  MessageBuilder builder = answering().additional(record(name("x"), 1, hex("0a000001")));
  const std::size_t opt_offset = builder.size();
  builder.opt({}, edns_option(15, hex("0003 0161 00")));
  const MessageBuilder start = builder;
  const auto ends_with = [&](const Octets& last) { return MessageBuilder(start).additional(last).build(); };
  for (const Octets& last : {record(pointer(opt_offset + 17), 1, hex("0a000001")),  // a name in an option's data
                             record(name("b"), 15, hex("00")),                      // an MX that is cut off
                             record(name("b"), 5, hex("0161")),                     // a name without end
                             record(name("b"), 5, hex("0161c0")),                   // half a pointer
                             record(name("b"), 5, hex("41")),                       // no label
                             record(name("b"), 35, hex("00010002 ff 00"))}) {
    CAPTURE(to_hex(last));
    CHECK(relayed_text(ends_with(last), asking()) == without);
    CHECK(relayed_text(ends_with(last), asking().opt()) == without + "opt 1232\noption 15 0003016100\n");
  }
}

// ---- sizes ----

/// An answer of exactly `size` octets with an empty OPT.
Octets answer_of_size(std::size_t size, const Octets& options = {}) {
  MessageBuilder builder(0xbeef, 0x8580);
  builder.question("www.example.com", 16);
  const std::size_t data = size - builder.size() - 12 - 11 - options.size();
  const Octets message = builder.answer(record(pointer(12), 16, Octets(data, 'x'))).opt({}, options);
  REQUIRE(message.size() == size);
  return message;
}

const std::string kTruncated =
    "1234 response aa tc rd ra NOERROR\n"
    "question wWw.example.com. TXT IN\n";

TEST_CASE("without EDNS, UDP answers above 512 octets are truncated, to nothing when the first record is that long") {
  const Octets query = asking("wWw.example.com", 16);
  CHECK(relayed(answer_of_size(512 + 11), query).size() == 512);  // the OPT does not count: it is cut
  CHECK(relayed_text(answer_of_size(513 + 11), query) == kTruncated);
  CHECK(relayed(answer_of_size(65535), query).size() == 33);
  CHECK(relayed(answer_of_size(513 + 11), query, kTcp).size() == 513);
}

TEST_CASE("with EDNS, the client's size counts, between 512 and 1232") {
  for (const auto& [announced, limit] :
       {std::pair{100U, 512U}, {512U, 512U}, {700U, 700U}, {1232U, 1232U}, {4096U, 1232U}}) {
    CAPTURE(announced);
    const Octets query = asking("wWw.example.com", 16).opt({.udp_size = announced, .dnssec_ok = true});
    CHECK(relayed(answer_of_size(limit), query).size() == limit);
    CHECK(relayed_text(answer_of_size(limit + 1), query) == kTruncated + "opt 1232 do\n");
  }
}

TEST_CASE("the upstream's padding does not count against the client's size") {
  const Octets query = asking("wWw.example.com", 16).opt({.udp_size = 512});
  CHECK(relayed(answer_of_size(468 * 2, edns_option(12, Octets(460, 0))), query).size() == 468 * 2 - 464);
}

TEST_CASE("options go before records do") {
  const Octets query = asking("wWw.example.com", 16).opt({.udp_size = 512});
  const Octets options = edns_option(15, hex("0003") + characters("stale"));
  const std::string fits = relayed_text(answer_of_size(512, options), query);
  CHECK(fits.find("option 15 0003") != std::string::npos);
  const Octets one_more = relayed(answer_of_size(513, options), query);
  CHECK(one_more.size() == 513 - options.size());
  CHECK(transcript(one_more).find("response aa rd ra") != std::string::npos);
  CHECK(transcript(one_more).find("option") == std::string::npos);
}

TEST_CASE("an extended RCODE survives truncation") {
  const Octets upstream = MessageBuilder(1, 0x8587)
                              .question("www.example.com", 16)
                              .answer(record(pointer(12), 16, Octets(2000, 'x')))
                              .opt({.extended_rcode = 1});
  CHECK(relayed_text(upstream, asking("wWw.example.com", 16).opt()) ==
        "1234 response aa tc rd ra RCODE7\nquestion wWw.example.com. TXT IN\nopt 1232 extended1\n");
  CHECK(relayed_text(upstream, asking("wWw.example.com", 16)) ==
        "1234 response aa tc rd ra SERVFAIL\nquestion wWw.example.com. TXT IN\n");
}

/// An answer with `answers` A records of 16 octets, an NS record and `glue` additional ones, and an OPT in front of
/// those.
Octets answer_with_glue(unsigned answers, unsigned glue) {
  MessageBuilder builder(0xbeef, 0x8180);
  builder.question("www.example.com");
  for (unsigned i = 0; i < answers; ++i) builder.answer(record(pointer(12), 1, u32(0x0a000000 + i)));
  builder.authority(record(pointer(16), 2, hex("026e73") + pointer(16)));
  builder.opt({}, edns_option(15, hex("0003")));
  for (unsigned i = 0; i < glue; ++i) builder.additional(record(name("ns"), 28, Octets(16, 1)));
  return builder;
}

std::size_t lines_with(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST_CASE("without EDNS, a truncated answer has as many whole answer records as fit 512 octets") {
  // 33 octets are header and question: 29 records of 16 octets fit, 30 do not.
  for (const unsigned glue : {0U, 20U}) {
    const Octets out = relayed(answer_with_glue(40, glue), asking());
    CHECK(out.size() == 33 + 29 * 16);
    const std::string text = transcript(out);
    CHECK(
        text.starts_with("1234 response tc rd ra NOERROR\nquestion www.example.com. A IN\n"
                         "answer www.example.com. 300 A IN 0a000000\n"));
    CHECK(lines_with(text, "answer ") == 29);
    CHECK(lines_with(text, "\n") == 31);
  }
  // The answer section fits, the authority section does not.
  const std::string text = relayed_text(answer_with_glue(29, 0), asking());
  CHECK(text.starts_with("1234 response tc "));
  CHECK(lines_with(text, "answer ") == 29);
  CHECK(lines_with(text, "authority ") == 0);
  CHECK(relayed_text(answer_with_glue(80, 0), asking().opt()) ==
        "1234 response tc rd ra NOERROR\nquestion www.example.com. A IN\nopt 1232\n");
}

TEST_CASE("when only the additional section is too long it is left out, without TC (RFC 2181 9)") {
  const Octets upstream = answer_with_glue(2, 60);
  const std::string without =
      "1234 response rd ra NOERROR\n"
      "question www.example.com. A IN\n"
      "answer www.example.com. 300 A IN 0a000000\n"
      "answer www.example.com. 300 A IN 0a000001\n"
      "authority example.com. 300 NS IN ns.example.com.\n";
  CHECK(relayed_text(upstream, asking()) == without);
  CHECK(relayed_text(upstream, asking().opt()) == without + "opt 1232\noption 15 0003\n");
  CHECK(relayed_text(upstream, asking().opt({.udp_size = 512})) == without + "opt 1232\noption 15 0003\n");
  CHECK(lines_with(relayed_text(upstream, asking(), kTcp), "additional ") == 60);
  // What was truncated already stays so.
  MessageBuilder truncated(1, 0x8380);
  truncated.question("www.example.com").additional(record(name("ns"), 16, Octets(600, 1)));
  CHECK(relayed_text(truncated, asking()) == "1234 response tc rd ra NOERROR\nquestion www.example.com. A IN\n");
}

TEST_CASE("the answer and authority sections at the limit, with the OPT that follows them") {
  // 33 octets, 25 answers, 14 + 5 of the NS record, 11 of the OPT.
  const auto sized = [](unsigned size) {
    return relayed_text(answer_with_glue(25, 60), asking().opt({.udp_size = size}));
  };
  const unsigned needed = 33 + 25 * 16 + 17 + 11;
  CHECK(needed < 512);
  const Octets upstream = answer_with_glue(40, 60);
  const unsigned exact = 33 + 40 * 16 + 17 + 11;
  CHECK(lines_with(relayed_text(upstream, asking().opt({.udp_size = exact + 6})), "option 15") == 1);
  const std::string tight = relayed_text(upstream, asking().opt({.udp_size = exact}));
  CHECK(lines_with(tight, "answer ") == 40);
  CHECK(lines_with(tight, "option") == 0);
  CHECK(lines_with(tight, " tc ") == 0);
  CHECK(lines_with(relayed_text(upstream, asking().opt({.udp_size = exact - 1})), " tc ") == 1);
  CHECK(lines_with(sized(512), "answer ") == 25);
}

TEST_CASE("the largest answers over TCP") {
  CHECK(relayed(answer_of_size(65535), asking("www.example.com", 16), kTcp).size() == 65535 - 11);
  CHECK(relayed(answer_of_size(65535), asking("www.example.com", 16).opt(), kTcp).size() == 65535);
  // No room for the keepalive option any more: the answer goes out without it.
  const Octets with_keepalive = asking("www.example.com", 16).opt({}, edns_option(11));
  CHECK(relayed(answer_of_size(65535), with_keepalive, kTcp).size() == 65535);
  CHECK(relayed(answer_of_size(65535 - 6), with_keepalive, kTcp).size() == 65535);
}

TEST_CASE("a truncated answer for the longest name fits 512 octets") {
  const Octets qname = name_of_size(255);
  const Octets upstream =
      MessageBuilder(1, 0x8180).question(qname, 16).answer(record(pointer(12), 16, Octets(2000, 'x'))).opt();
  const Octets out = relayed(upstream, MessageBuilder(2, 0).question(qname, 16).opt());
  CHECK(out.size() == 12 + 255 + 4 + 11);
}

TEST_CASE("options beyond every measure are left out, the answer is not") {
  const Octets upstream = answering().opt({}, edns_option(3, Octets(3000, 1)) + edns_option(15, hex("0003")));
  const std::string text = relayed_text(upstream, asking().opt(), kTcp);
  CHECK(text.find("answer www.example.com. 300 A IN c0000201\n") != std::string::npos);
  CHECK(text.find("option 3 ") == std::string::npos);
}

// ---- answers of the relay's own ----

TEST_CASE("malformed queries: the whole exchange") {
  CHECK(at_once(hex("1234 0100 0001 0000 0000 00")) == "silence");
  CHECK(at_once(MessageBuilder(0x1234, 0x8100).question("a")) == "silence");
  CHECK(at_once(MessageBuilder(0x1234, 0x2110).question("a").opt()) ==
        "1234 response opcode4 rd NOTIMP\nquestion a. A IN\nopt 1232\n");
  CHECK(at_once(MessageBuilder(0x1234, 0)) == "1234 response ra FORMERR\n");
  CHECK(at_once(MessageBuilder(0x1234, 0).question("a").question("b")) == "1234 response ra FORMERR\n");
  CHECK(at_once(MessageBuilder(0x1234, 0).opt()) == "1234 response ra FORMERR\nopt 1232\n");
  CHECK(at_once(asking("wWw").claim(3, 1)) == "1234 response rd ra FORMERR\nquestion wWw. A IN\n");
  CHECK(at_once(asking("wWw", 128)) == "1234 response rd ra FORMERR\nquestion wWw. TYPE128 IN\n");
  CHECK(at_once(asking("wWw").opt().opt()) == "1234 response rd ra FORMERR\nquestion wWw. A IN\nopt 1232\n");
  CHECK(at_once(asking("wWw").opt({.dnssec_ok = true, .version = 1})) ==
        "1234 response rd ra NOERROR\nquestion wWw. A IN\nopt 1232 do extended1\n");
  CHECK(at_once(asking("wWw", 252)) == "1234 response rd ra REFUSED\nquestion wWw. AXFR IN\n");
  CHECK(at_once(MessageBuilder(0x1234, 0).question("version.bind", 16, 3)) ==
        "1234 response ra REFUSED\nquestion version.bind. TXT CLASS3\n");
  CHECK(at_once(asking("www.example.com")) == "relay");
}

TEST_CASE("AD, AA and TC of a query are not repeated, RD and CD are") {
  CHECK(at_once(MessageBuilder(0x1234, 0x0130).question("a", 252)) ==
        "1234 response rd ra cd REFUSED\nquestion a. AXFR IN\n");
  CHECK(at_once(MessageBuilder(0x1234, 0x0640).question("a", 252)) ==
        "1234 response ra REFUSED\nquestion a. AXFR IN\n");
}

TEST_CASE("special names: the whole exchange") {
  CHECK(locally(asking("LocalHost", 1), LocalZone::loopback) ==
        "1234 response rd ra NOERROR\nquestion LocalHost. A IN\nanswer LocalHost. 10800 A IN 7f000001\n");
  CHECK(locally(asking("a.localhost", 28).opt({}, edns_option(11)), LocalZone::loopback, 1, kTcp) ==
        "1234 response rd ra NOERROR\n"
        "question a.localhost. AAAA IN\n"
        "answer a.localhost. 10800 AAAA IN 00000000000000000000000000000001\n"
        "opt 1232\n"
        "option 11 012c\n");
  CHECK(locally(asking("localhost", 16), LocalZone::loopback) ==
        "1234 response rd ra NOERROR\nquestion localhost. TXT IN\n");
  CHECK(locally(asking("x.onion").opt({.dnssec_ok = true}), LocalZone::onion) ==
        "1234 response rd ra NXDOMAIN\nquestion x.onion. A IN\nopt 1232 do\n");
  CHECK(locally(asking("_dns.resolver.arpa", 64), LocalZone::resolver, 2) ==
        "1234 response rd ra NOERROR\nquestion _dns.resolver.arpa. TYPE64 IN\n");
}

/// The SOA of a local zone with this name: serial number, three times that no client uses, and how long "no" is
/// remembered.
std::string local_soa(const std::string& apex) {
  return apex + " 300 SOA IN " + apex + " nobody.invalid. 0000000100000e10000004b000093a800000012c\n";
}

TEST_CASE("a local zone denies names with an SOA, so that clients remember it (RFC 2308)") {
  CHECK(locally(asking("Host.Test", 1), LocalZone::nxdomain) ==
        "1234 response rd ra NXDOMAIN\nquestion Host.Test. A IN\nauthority " + local_soa("Test."));
  CHECK(locally(asking("test", 1).opt({.dnssec_ok = true}), LocalZone::nxdomain) ==
        "1234 response rd ra NXDOMAIN\nquestion test. A IN\nauthority " + local_soa("test.") + "opt 1232 do\n");
  CHECK(locally(asking("a.b.test", 16), LocalZone::nodata, 2) ==
        "1234 response rd ra NOERROR\nquestion a.b.test. TXT IN\nauthority " + local_soa("b.test."));
  CHECK(locally(asking("a.test").opt(), LocalZone::refused) ==
        "1234 response rd ra REFUSED\nquestion a.test. A IN\nopt 1232\n");
}

TEST_CASE("an empty zone has SOA and NS at its apex, and nothing below (RFC 6303 3)") {
  const auto told = [](const std::string& name, unsigned type) {
    return locally(asking(name, type), LocalZone::empty, 3);
  };
  const std::string apex = "10.in-addr.arpa.";
  const std::string ns = apex + " 300 NS IN " + apex + "\n";
  const std::string yes = "1234 response rd ra NOERROR\nquestion " + apex + " ";
  CHECK(told("10.in-addr.arpa", 12) == yes + "PTR IN\nauthority " + local_soa(apex));
  CHECK(told("10.in-addr.arpa", 6) == yes + "SOA IN\nanswer " + local_soa(apex));
  CHECK(told("10.in-addr.arpa", 2) == yes + "NS IN\nanswer " + ns);
  CHECK(told("10.in-addr.arpa", 255) == yes + "TYPE255 IN\nanswer " + local_soa(apex) + "answer " + ns);
  CHECK(told("1.10.in-addr.arpa", 6) ==
        "1234 response rd ra NXDOMAIN\nquestion 1." + apex + " SOA IN\nauthority " + local_soa(apex));
}

TEST_CASE("the longest name is denied within what any client takes") {
  Octets query = u16(1) + u16(0x0100) + u16(1) + u16(0) + u16(0) + u16(0) + name_of_size(255) + u16(1) + u16(1);
  const Question question{Bytes(query).subspan(12, 255), 1, 1};
  Octets buffer(kResponseBuffer);
  const Asker asker(parse_query(query).query, kUdp);
  const LocalAnswer answer = local_answer(LocalZone::nxdomain, question, last_labels(question.name, 1));
  CHECK(write_local_response(buffer, asker, question, answer).size() <= kPlainUdpSize);
}

TEST_CASE("no upstream answered: SERVFAIL says why to clients that can read it") {
  const std::string reason = "cloudflare (1.1.1.1:853): certificate expired";
  const Explanation explanation{ExtendedError::no_reachable_authority, reason};
  const auto servfail = [&](const Octets& query, Transport transport = kUdp) {
    const QueryVerdict verdict = parse_query(query);
    Octets buffer(kResponseBuffer, 0xee);
    return transcript(write_error_response(buffer, Asker(verdict.query, transport), verdict.query.question,
                                           Rcode::servfail, explanation));
  };
  CHECK(servfail(asking()) == "1234 response rd ra SERVFAIL\nquestion www.example.com. A IN\n");
  CHECK(servfail(asking().opt()) ==
        "1234 response rd ra SERVFAIL\nquestion www.example.com. A IN\nopt 1232\noption 15 0016" +
            to_hex(characters(reason)) + "\n");
  CHECK(servfail(asking().opt({}, edns_option(11)), kTcp) ==
        "1234 response rd ra SERVFAIL\nquestion www.example.com. A IN\nopt 1232\noption 11 012c\noption 15 0016" +
            to_hex(characters(reason)) + "\n");
}

TEST_CASE("an explanation never makes an answer too long for its client") {
  const std::string reason(1000, 'x');
  for (std::size_t size = 1; size <= 255; ++size) {
    if (size == 2) continue;
    const Octets qname = name_of_size(size);
    const Octets query = MessageBuilder(1, 0).question(qname).opt({.udp_size = 512}, edns_option(11));
    Octets buffer(kResponseBuffer);
    for (const Transport transport : {kUdp, kTcp}) {
      const Bytes out = write_error_response(buffer, asker(query, transport), Question{qname, 1, 1}, Rcode::servfail,
                                             Explanation{ExtendedError::other, reason});
      REQUIRE(out.size() <= (transport.tcp ? 65535U : 512U));
      REQUIRE(transcript(out).find("option 15 0000") != std::string::npos);
    }
  }
}

TEST_CASE("a client without EDNS cannot be told BADVERS") {
  Octets buffer(kResponseBuffer);
  CHECK(transcript(write_error_response(buffer, asker(asking()), std::nullopt, Rcode::badvers, {})) ==
        "1234 response rd ra SERVFAIL\n");
}

// ---- there and back ----

TEST_CASE("what the relay asks, an upstream can answer, and the client gets back what it asked for") {
  const Octets client =
      MessageBuilder(0x0042, 0x0110)
          .question("Mixed.Case.Example", 28)
          .opt({.udp_size = 1400, .dnssec_ok = true}, edns_option(3) + edns_option(10, hex("0102030405060708")));
  const QueryVerdict verdict = parse_query(client);
  REQUIRE(verdict.kind == QueryVerdict::Kind::relay);
  const auto options = carried_options(*verdict.query.opt);
  REQUIRE(options);
  Octets up(kMaxUpstreamQuery);
  up.resize(write_upstream_query(up, {.id = 0x7777,
                                      .flags = verdict.query.header.flags,
                                      .question = *verdict.query.question,
                                      .dnssec_ok = verdict.query.opt->dnssec_ok,
                                      .options = *options}));
  CHECK(transcript(up) ==
        "7777 query rd cd NOERROR\nquestion Mixed.Case.Example. AAAA IN\nopt 1232 do\noption 3\npadding 73\n");

  const Octets down = MessageBuilder(0x7777, 0x81b0)
                          .question("mixed.case.example", 28)
                          .answer(record(pointer(12), 28, Octets(16, 9), 60))
                          .opt({.udp_size = 1232, .dnssec_ok = true}, edns_option(3, characters("a1")));
  CHECK(relayed_text(down, client) ==
        "0042 response rd ra ad cd NOERROR\n"
        "question Mixed.Case.Example. AAAA IN\n"
        "answer Mixed.Case.Example. 60 AAAA IN 09090909090909090909090909090909\n"
        "opt 1232 do\n"
        "option 3 6131\n");
}

}  // namespace
}  // namespace dotrelay::dns
