// Tables that the relay does not have: the parser knows none by its name, so a second repeated table, keys with
// defaults in it and a required table of another name work by their rows alone.
#include "config/defaults.hpp"
#include "config/parser.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

struct Site {
  std::string name;
  SourcePosition position;
  std::int64_t ttl = 0;
  SourcePosition ttl_position{9, 9};
};

std::vector<Site> sites;

constexpr KeyRow kSiteKeys[] = {
    {
        .name = "name",
        .set = SetText{[](const KeyTarget& target, std::string_view text) -> KeyProblem {
          if (text.empty()) return "the name is empty";
          sites.back().name = text;
          sites.back().position = target.position;
          return std::nullopt;
        }},
        .required = true,
        .allowed = "a domain",
        .help = "What the site is.",
    },
    {
        .name = "ttl",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          sites.back().ttl = value;
          sites.back().ttl_position = target.position;
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

MaybeProblem judge_site(const Config&) {
  if (sites.back().name != "bad") return std::nullopt;
  return Problem{sites.back().position, "site.name: no such site"};
}

const TableRow kSite = {
    .name = "site",
    .keys = kSiteKeys,
    .repeated = 2,
    .help = "One table for each site.",
    .begin = [](Config&) { sites.emplace_back(); },
    .judge = judge_site,
};
const TableRow kStatus = {.name = "status", .keys = kStatusKeys};

/// The relay's tables and those of this test.
std::vector<TableRow> extended() {
  std::vector<TableRow> tables(all_tables().begin(), all_tables().end());
  tables.insert(tables.end(), {kSite, kStatus});
  return tables;
}

std::string error_of(const std::string& text, std::span<const TableRow> tables) {
  sites.clear();
  const Result<Config> config = parse_config(text, "t", tables);
  return config ? "fine" : config.error().message;
}

/// With an upstream behind `text`.
std::string error_in(const std::string& text) {
  const std::string upstream = "[[upstream]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.test\"\n";
  return error_of(text + upstream, extended());
}

TEST_CASE("a second repeated table has required keys, limits and judgements of its own") {
  CHECK(error_in("[[site]]\nttl = 3\n") == "t:1:1: [[site]] needs the key \"name\": a domain");
  CHECK(error_in("[[site]]\nname = \"a\"\n[[site]]\n") == "t:3:1: [[site]] needs the key \"name\": a domain");
  CHECK(error_in("[[site]]\nname = \"\"\n") == "t:2:8: site.name: the name is empty; allowed: a domain");
  CHECK(error_in("[[site]]\nname = \"a\"\nttl = 61\n") ==
        "t:3:7: site.ttl: 61 is out of range; allowed: 1 to 60 seconds");
  CHECK(error_in("[[site]]\nname = \"a\"\n[[site]]\nname = \"bad\"\n") == "t:4:8: site.name: no such site");
  CHECK(error_in("[[site]]\nname = \"a\"\n[[site]]\nname = \"b\"\n[[site]]\nname = \"c\"\n") ==
        "t:5:1: more than 2 [[site]] tables");
  CHECK(error_in("[site]\nname = \"a\"\n") == "t:1:1: site must be written as [[site]] tables");
  CHECK(error_in("[[site]]\nnane = \"a\"\n") == "t:2:1: unknown key \"nane\" in [[site]]; did you mean \"name\"?");
}

TEST_CASE("what it needs is asked of no other table, and it need not be written") {
  CHECK(error_in("") == "fine");
  CHECK(sites.empty());
  CHECK(error_in("[[site]]\nname = \"a\"\n[[site]]\nname = \"b\"\nttl = 7\n") == "fine");
  REQUIRE(sites.size() == 2);
  CHECK(sites[0].name == "a");
  CHECK(sites[1].name == "b");
  CHECK(sites[1].ttl == 7);
}

TEST_CASE("each entry of a repeated table begins with the defaults, which are at no place of the file") {
  CHECK(error_in("[[site]]\nname = \"a\"\nttl = 7\n[[site]]\nname = \"b\"\n") == "fine");
  REQUIRE(sites.size() == 2);
  CHECK(sites[0].ttl_position.line == 3);
  CHECK(sites[1].ttl == 30);
  CHECK(sites[1].ttl_position.line == 0);
}

TEST_CASE("a table that is written once may also have required keys, wherever it is written") {
  CHECK(error_in("[status]\n") == "t:1:1: [status] needs the key \"port\": 1 to 9");
  CHECK(error_in("[status]\nport = 9\n") == "fine");
  CHECK(error_in("[[status]]\n") == "t:1:1: status must be written as a [status] table");
}

TEST_CASE("a required table is asked for by its name and keys") {
  TableRow site = kSite;
  site.required = true;
  CHECK(error_of("", std::span(&site, 1)) == "t: no site: at least one [[site]] table with name is needed");
  CHECK(error_of("[[site]]\nname = \"a\"\n", std::span(&site, 1)) == "fine");
  CHECK(error_of("[[upstream]]\n", std::span(&site, 1)) == "t:1:3: unknown table \"upstream\"; there is: site");
}

TEST_CASE("the printed defaults have a repeated table as a comment, so that no key of it lands in another") {
  const std::string printed = defaults_as_toml(std::span(&kSite, 1));
  CHECK(printed.find("\n# [[site]]\n# One table for each site.\n\n# What the site is.\n# Allowed: a domain. Required.\n"
                     "# name =\n\n# How long it is kept.\n# Allowed: 1 to 60 seconds.\n# ttl = 30\n") !=
        std::string::npos);
}

}  // namespace
}  // namespace dotrelay
