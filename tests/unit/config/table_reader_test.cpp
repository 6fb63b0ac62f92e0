// Tables that the relay does not have: the parser knows none by its name, so a second repeated table, keys with
// defaults in it and a required table of another name work by their rows alone.
#include "config/defaults.hpp"
#include "config/parser.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

struct Zone {
  std::string name;
  SourcePosition position;
  std::int64_t ttl = 0;
  SourcePosition ttl_position{9, 9};
};

std::vector<Zone> zones;

constexpr KeyRow kZoneKeys[] = {
    {
        .name = "name",
        .set = SetText{[](const KeyTarget& target, std::string_view text) -> KeyProblem {
          if (text.empty()) return "the name is empty";
          zones.back().name = text;
          zones.back().position = target.position;
          return std::nullopt;
        }},
        .required = true,
        .allowed = "a domain",
        .help = "What the zone is.",
    },
    {
        .name = "ttl",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          zones.back().ttl = value;
          zones.back().ttl_position = target.position;
        }},
        .range = {1, 60},
        .default_value = "30",
        .allowed = "{} seconds",
        .help = "How long it is kept.",
    },
};

constexpr KeyRow kStatusKeys[] = {
    {
        .name = "port",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          target.config.listen.workers = static_cast<std::uint32_t>(value);
        }},
        .range = {1, 9},
        .required = true,
        .allowed = "{}",
        .help = "Where it is served.",
    },
};

MaybeProblem judge_zone(const Config&) {
  if (zones.back().name != "bad") return std::nullopt;
  return Problem{zones.back().position, "zone.name: no such zone"};
}

const TableRow kZone = {
    .name = "zone",
    .keys = kZoneKeys,
    .repeated = 2,
    .help = "One table for each zone.",
    .begin = [](Config&) { zones.emplace_back(); },
    .judge = judge_zone,
};
const TableRow kStatus = {.name = "status", .keys = kStatusKeys};

/// The relay's tables and those of this test.
std::vector<TableRow> extended() {
  std::vector<TableRow> tables(all_tables().begin(), all_tables().end());
  tables.insert(tables.end(), {kZone, kStatus});
  return tables;
}

std::string error_of(const std::string& text, std::span<const TableRow> tables) {
  zones.clear();
  const Result<Config> config = parse_config(text, "t", tables);
  return config ? "fine" : config.error().message;
}

/// With an upstream behind `text`.
std::string error_in(const std::string& text) {
  const std::string upstream = "[[upstream]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.test\"\n";
  return error_of(text + upstream, extended());
}

TEST_CASE("a second repeated table has required keys, limits and judgements of its own") {
  CHECK(error_in("[[zone]]\nttl = 3\n") == "t:1:1: [[zone]] needs the key \"name\": a domain");
  CHECK(error_in("[[zone]]\nname = \"a\"\n[[zone]]\n") == "t:3:1: [[zone]] needs the key \"name\": a domain");
  CHECK(error_in("[[zone]]\nname = \"\"\n") == "t:2:8: zone.name: the name is empty; allowed: a domain");
  CHECK(error_in("[[zone]]\nname = \"a\"\nttl = 61\n") ==
        "t:3:7: zone.ttl: 61 is out of range; allowed: 1 to 60 seconds");
  CHECK(error_in("[[zone]]\nname = \"a\"\n[[zone]]\nname = \"bad\"\n") == "t:4:8: zone.name: no such zone");
  CHECK(error_in("[[zone]]\nname = \"a\"\n[[zone]]\nname = \"b\"\n[[zone]]\nname = \"c\"\n") ==
        "t:5:1: more than 2 [[zone]] tables");
  CHECK(error_in("[zone]\nname = \"a\"\n") == "t:1:1: zone must be written as [[zone]] tables");
  CHECK(error_in("[[zone]]\nnane = \"a\"\n") == "t:2:1: unknown key \"nane\" in [[zone]]; did you mean \"name\"?");
}

TEST_CASE("what it needs is asked of no other table, and it need not be written") {
  CHECK(error_in("") == "fine");
  CHECK(zones.empty());
  CHECK(error_in("[[zone]]\nname = \"a\"\n[[zone]]\nname = \"b\"\nttl = 7\n") == "fine");
  REQUIRE(zones.size() == 2);
  CHECK(zones[0].name == "a");
  CHECK(zones[1].name == "b");
  CHECK(zones[1].ttl == 7);
}

TEST_CASE("each entry of a repeated table begins with the defaults, which are at no place of the file") {
  CHECK(error_in("[[zone]]\nname = \"a\"\nttl = 7\n[[zone]]\nname = \"b\"\n") == "fine");
  REQUIRE(zones.size() == 2);
  CHECK(zones[0].ttl_position.line == 3);
  CHECK(zones[1].ttl == 30);
  CHECK(zones[1].ttl_position.line == 0);
}

TEST_CASE("a table that is written once may also have required keys, wherever it is written") {
  CHECK(error_in("[status]\n") == "t:1:1: [status] needs the key \"port\": 1 to 9");
  CHECK(error_in("[status]\nport = 9\n") == "fine");
  CHECK(error_in("[[status]]\n") == "t:1:1: status must be written as a [status] table");
}

TEST_CASE("a required table is asked for by its name and keys") {
  TableRow zone = kZone;
  zone.required = true;
  CHECK(error_of("", std::span(&zone, 1)) == "t: no zone: at least one [[zone]] table with name is needed");
  CHECK(error_of("[[zone]]\nname = \"a\"\n", std::span(&zone, 1)) == "fine");
  CHECK(error_of("[[upstream]]\n", std::span(&zone, 1)) == "t:1:3: unknown table \"upstream\"; there is: zone");
}

TEST_CASE("the printed defaults have a repeated table as a comment, so that no key of it lands in another") {
  const std::string printed = defaults_as_toml(std::span(&kZone, 1));
  CHECK(printed.find("\n# [[zone]]\n# One table for each zone.\n\n# What the zone is.\n# Allowed: a domain. Required.\n"
                     "# name =\n\n# How long it is kept.\n# Allowed: 1 to 60 seconds.\n# ttl = 30\n") !=
        std::string::npos);
}

}  // namespace
}  // namespace dotrelay
