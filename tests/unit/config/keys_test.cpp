// The key table itself: that every row is complete, unique, documented and consistent with its default.
#include "config/keys.hpp"

#include "config/parser.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

TEST_CASE("rows are unique, and those of one table stand together") {
  std::set<std::string> names;
  std::set<std::string_view> tables;
  std::string_view table;
  for (const KeyRow& row : all_keys()) {
    CAPTURE(row.name);
    CHECK(names.insert(std::string(row.table) + "." + std::string(row.name)).second);
    if (row.table != table) CHECK(tables.insert(row.table).second);
    table = row.table;
  }
  CHECK(tables == std::set<std::string_view>{"listen", "upstream", "relay", "limits", "log"});
}

TEST_CASE("every row says what is allowed and what it is for, in whole sentences of ASCII") {
  for (const KeyRow& row : all_keys()) {
    CAPTURE(row.name);
    CHECK_FALSE(row.allowed.empty());
    CHECK_FALSE(row.allowed.ends_with('.'));
    CHECK(row.help.ends_with('.'));
    CHECK(std::ranges::all_of(row.help, [](char c) { return c >= ' ' && c < 0x7f; }));
  }
}

TEST_CASE("a key outside [[upstream]] has a default, one inside has none") {
  for (const KeyRow& row : all_keys()) {
    CAPTURE(row.name);
    CHECK((row.table == "upstream") == row.default_value.empty());
    if (row.required) CHECK(row.table == "upstream");
  }
}

TEST_CASE("each row names its type in words") {
  const auto type_of = [](std::string_view table, std::string_view name) {
    const auto rows = all_keys();
    const auto row = std::ranges::find_if(rows, [&](const KeyRow& r) { return r.table == table && r.name == name; });
    REQUIRE(row != rows.end());
    return type_name(*row);
  };
  CHECK(type_of("listen", "addresses") == "a list of strings");
  CHECK(type_of("listen", "workers") == "an integer");
  CHECK(type_of("listen", "share_port") == "true or false");
  CHECK(type_of("upstream", "tls_name") == "a string");
}

TEST_CASE("--print-defaults shows every key with its help") {
  const std::string defaults = defaults_as_toml();
  for (const KeyRow& row : all_keys()) {
    CAPTURE(row.name);
    CHECK(defaults.find("\n" + std::string(row.default_value.empty() ? "# " : "") + std::string(row.name) + " =") !=
          std::string::npos);
    CHECK(defaults.find(row.help.substr(0, 20)) != std::string::npos);
  }
}

}  // namespace
}  // namespace dotrelay
