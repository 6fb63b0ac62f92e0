// The [[zone]] table and what zones ask of upstreams: what is read, and for each mistake the one line that is printed.
#include "config/defaults.hpp"
#include "config/judge.hpp"
#include "config/parser.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

/// Two upstreams, in lines 1 to 8; the second is "office".
const std::string kUpstreams =
    "[[upstream]]\n"
    "name = \"one\"\n"
    "addresses = [\"192.0.2.1\"]\n"
    "tls_name = \"dns.example\"\n"
    "[[upstream]]\n"
    "name = \"office\"\n"
    "addresses = [\"192.0.2.2\"]\n"
    "tls_name = \"dns.office.example\"\n";

Config parse(const std::string& text) {
  const Result<Config> config = parse_config(kUpstreams + text, "t");
  if (!config) FAIL(config.error().message);
  return *config;
}

/// The error without the file's name, or "fine". `text` begins in line 9.
std::string error_of(const std::string& text) {
  const Result<Config> config = parse_config(kUpstreams + text, "t");
  return config ? "fine" : config.error().message.substr(2);
}

/// The error of one zone with these keys, in lines 10 and following.
std::string error_in_zone(const std::string& keys) { return error_of("[[zone]]\n" + keys + "\n"); }

/// The error of a name, in line 10 from column 10 on, without what is allowed.
std::string error_of_name(const std::string& name) {
  const std::string error = error_in_zone("names = [\"" + name + "\"]\nanswer = \"nodata\"");
  constexpr std::string_view kBegin = "10:10: zone.names: ";
  if (!error.starts_with(kBegin)) return error;
  return error.substr(kBegin.size(), error.find("; allowed: 1 to 256 domain names") - kBegin.size());
}

std::vector<std::string> texts(const std::vector<PlacedName>& names) {
  std::vector<std::string> result;
  for (const PlacedName& name : names) result.push_back(name.text);
  return result;
}

using Texts = std::vector<std::string>;

TEST_CASE("zones with upstreams and with an answer") {
  const Config config = parse(R"([[zone]]
names = ["Corp.Example.", "10.in-addr.arpa"]
upstreams = ["office", "one"]
[[zone]]
names = ["local"]
answer = "nxdomain"
[[zone]]
names = ["a.b"]
answer = "nodata"
[[zone]]
names = ["xn--bcher-kva.example", "0/25.2.0.192.in-addr.arpa", "_tcp.example"]
answer = "refused"
)");
  REQUIRE(config.zones.size() == 4);
  CHECK(texts(config.zones[0].names) == Texts{"corp.example", "10.in-addr.arpa"});
  CHECK(config.zones[0].names[1].position.line == 10);
  CHECK(config.zones[0].names[1].position.column == 27);
  CHECK(texts(config.zones[0].upstreams) == Texts{"office", "one"});
  CHECK_FALSE(config.zones[0].answer);
  CHECK(config.zones[1].upstreams.empty());
  CHECK(config.zones[1].answer == ZoneAnswer::nxdomain);
  CHECK(config.zones[2].answer == ZoneAnswer::nodata);
  CHECK(config.zones[3].answer == ZoneAnswer::refused);
  CHECK(texts(config.zones[3].names) == Texts{"xn--bcher-kva.example", "0/25.2.0.192.in-addr.arpa", "_tcp.example"});
  CHECK(parse("").zones.empty());
}

TEST_CASE("an upstream is in the common order unless it is for zones only") {
  CHECK_FALSE(parse("zone_only = false\n").upstreams[1].zone_only);
  CHECK_FALSE(parse("").upstreams[1].zone_only);
  CHECK(parse("zone_only = true\n").upstreams[1].zone_only);
  CHECK(error_of("zone_only = 1") == "9:13: upstream.zone_only must be true or false; allowed: true or false");
}

TEST_CASE("an upstream for zones that no zone names is doubtful; one that is named, or in the common order, is not") {
  const std::vector<Problem> doubts = doubts_about(parse("zone_only = true\n"));
  REQUIRE(doubts.size() == 1);
  CHECK(doubts[0].position.line == 9);
  CHECK(doubts[0].position.column == 13);
  CHECK(doubts[0].message == "upstream.zone_only: no [[zone]] names \"office\", so it gets no query");
  CHECK(doubts_about(parse("zone_only = true\n[[zone]]\nnames = [\"a\"]\nupstreams = [\"office\"]\n")).empty());
  CHECK(doubts_about(parse("zone_only = false\n")).empty());
}

TEST_CASE("someone must answer what is in no zone") {
  const Result<Config> config = parse_config(
      "[[upstream]]\nname = \"one\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.example\"\nzone_only = true\n"
      "[[zone]]\nnames = [\"a\"]\nupstreams = [\"one\"]\n",
      "t");
  REQUIRE_FALSE(config);
  CHECK(config.error().message ==
        "t:5:13: upstream.zone_only: every upstream has it, so the names that are in no zone have none");
}

TEST_CASE("a zone has upstreams or an answer: not both, and not neither") {
  CHECK(error_in_zone("names = [\"a.b\"]\nupstreams = [\"one\"]\nanswer = \"nodata\"") ==
        "12:10: zone.answer: the zone of \"a.b\" also has upstreams; only one of both may be");
  CHECK(error_in_zone("names = [\"a.b\"]") == "10:10: zone.names: the zone of \"a.b\" needs upstreams or an answer");
}

TEST_CASE("a zone without names, empty lists, and other values than lists") {
  CHECK(error_in_zone("answer = \"nodata\"") ==
        "9:1: [[zone]] needs the key \"names\": 1 to 256 domain names of letters, digits, \"-\", \"_\" and \"/\"");
  CHECK(error_in_zone("names = []\nanswer = \"nodata\"").starts_with("10:9: zone.names: 0 entries; allowed: 1 to 256"));
  CHECK(error_in_zone("names = [\"a\"]\nupstreams = []") ==
        "11:13: zone.upstreams: 0 entries; allowed: 1 to 16 names of [[upstream]] or of [[local_upstream]] tables, "
        "each once");
  CHECK(error_in_zone("names = \"a\"\nanswer = \"nodata\"").starts_with("10:9: zone.names must be a list of strings"));
  CHECK(error_in_zone("names = [1]\nanswer = \"nodata\"").starts_with("10:10: zone.names must be a list of strings"));
  CHECK(error_of("[zone]\nnames = [\"a\"]\n") == "9:1: zone must be written as [[zone]] tables");
}

TEST_CASE("answers and keys that there are not") {
  CHECK(error_in_zone("names = [\"a\"]\nanswer = \"servfail\"") ==
        "11:10: zone.answer: \"servfail\" is no such answer; allowed: \"nxdomain\", \"nodata\" or \"refused\"");
  CHECK(error_in_zone("names = [\"a\"]\nupstream = [\"one\"]") ==
        "11:1: unknown key \"upstream\" in [[zone]]; did you mean \"upstreams\"?");
}

TEST_CASE("upstreams that there are not, with the nearest one, and upstreams named twice") {
  CHECK(error_in_zone("names = [\"a\"]\nupstreams = [\"one\", \"ofice\"]") ==
        "11:21: zone.upstreams: no upstream is called \"ofice\"; did you mean \"office\"?");
  CHECK(error_in_zone("names = [\"a\"]\nupstreams = [\"192.0.2.7\"]") ==
        "11:14: zone.upstreams: no upstream is called \"192.0.2.7\"; there is: one office");
  CHECK(error_in_zone("names = [\"a\"]\nupstreams = [\"one\", \"one\"]") ==
        "11:21: zone.upstreams: \"one\" is listed twice; allowed: 1 to 16 names of [[upstream]] or of "
        "[[local_upstream]] tables, each once");
}

TEST_CASE("a name is in one zone only, and once, however it is spelled") {
  CHECK(error_in_zone("names = [\"a.b\", \"A.b.\"]\nanswer = \"nodata\"")
            .starts_with("10:17: zone.names: \"a.b\" is in a zone already, in line 10; allowed: "));
  CHECK(error_of("[[zone]]\nnames = [\"a.b\"]\nanswer = \"nodata\"\n[[zone]]\nnames = [\"A.B\"]\nupstreams = [\"one\"]")
            .starts_with("13:10: zone.names: \"a.b\" is in a zone already, in line 10; allowed: "));
  CHECK(
      error_of("[[zone]]\nnames = [\"a.b\"]\nanswer = \"nodata\"\n[[zone]]\nnames = [\"b\"]\nupstreams = [\"one\"]") ==
      "fine");
}

TEST_CASE("names that are none") {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  CHECK(error_of_name(longest) == "fine");
  CHECK(error_of_name(longest + ".") == "fine");
  CHECK(error_of_name(longest + "a") == "a domain name has at most 255 octets, this one more");
  CHECK(error_of_name(label + "a.example") == "\"" + label + "a.example\" has a label of more than 63 octets");
  CHECK(error_of_name("") == "\"\" has an empty label");
  CHECK(error_of_name("a..b") == "\"a..b\" has an empty label");
  CHECK(error_of_name(".a") == "\".a\" has an empty label");
  CHECK(error_of_name("..") == "\".\" has an empty label");
  CHECK(error_of_name("*.corp.example") == "a zone holds all names below it: write \"corp.example\" without \"*.\"");
  CHECK(error_of_name("b\u00fccher.example") ==
        "\"b\u00fccher.example\" has letters beyond ASCII: write its A-label (\"xn--...\")");
  CHECK(error_of_name("a b") == "\"a b\" is no domain name");
  CHECK(error_of_name("a\\\\.b") == "\"a\\.b\" is no domain name");
  CHECK(error_of_name("192.0.2.1:53") == "\"192.0.2.1:53\" is no domain name");
  CHECK(error_of_name("fe80::1") == "\"fe80::1\" is no domain name");
}

TEST_CASE("the root is no zone: the order of the upstreams is for all names") {
  CHECK(error_of_name(".") ==
        "\".\" is every name: the [[upstream]] tables without zone_only, in their order, serve all that is in no zone");
}

TEST_CASE("more zones than there may be") {
  std::string text;
  for (std::size_t i = 0; i <= kMaxZones; ++i) {
    text += "[[zone]]\nnames = [\"z" + std::to_string(i) + "\"]\nanswer = \"nodata\"\n";
  }
  CHECK(error_of(text) == std::to_string(9 + 3 * kMaxZones) + ":1: more than 64 [[zone]] tables");
}

}  // namespace
}  // namespace dotrelay
