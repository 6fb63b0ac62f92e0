// The rows themselves: that each is complete, unique, documented and consistent with its default.
#include "config/tables.hpp"

#include "config/defaults.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

const TableRow& table_of(std::string_view name) {
  const auto tables = all_tables();
  const auto table = std::ranges::find(tables, name, &TableRow::name);
  REQUIRE(table != tables.end());
  return *table;
}

const KeyRow& key_of(std::string_view table, std::string_view name) {
  const auto keys = table_of(table).keys;
  const auto key = std::ranges::find(keys, name, &KeyRow::name);
  REQUIRE(key != keys.end());
  return *key;
}

TEST_CASE("names of tables, and of the keys of each, are unique") {
  std::vector<std::string_view> tables;
  for (const TableRow& table : all_tables()) {
    CAPTURE(table.name);
    tables.push_back(table.name);
    std::set<std::string_view> names;
    for (const KeyRow& row : table.keys) CHECK(names.insert(row.name).second);
  }
  CHECK(tables == std::vector<std::string_view>{"listen", "upstream", "local_upstream", "zone", "relay", "cache",
                                                "limits", "log"});
}

TEST_CASE("every row says what is allowed and what it is for, in whole sentences of ASCII") {
  for (const TableRow& table : all_tables()) {
    for (const KeyRow& row : table.keys) {
      CAPTURE(row.name);
      CHECK_FALSE(row.allowed.empty());
      CHECK_FALSE(row.allowed.ends_with('.'));
      CHECK(row.help.ends_with('.'));
      CHECK(std::ranges::all_of(row.help, [](char c) { return c >= ' ' && c < 0x7f; }));
    }
  }
}

TEST_CASE("a key of a table that is written once has a default, a required one has none") {
  for (const TableRow& table : all_tables()) {
    for (const KeyRow& row : table.keys) {
      CAPTURE(row.name);
      CHECK((table.repeated != 0) == row.default_value.empty());
      if (row.required) CHECK(row.default_value.empty());
    }
  }
}

TEST_CASE("a repeated table can begin an entry, and is written so") {
  for (const TableRow& table : all_tables()) CHECK((table.repeated != 0) == (table.begin != nullptr));
  CHECK(bracketed(table_of("upstream")) == "[[upstream]]");
  CHECK(bracketed(table_of("listen")) == "[listen]");
}

TEST_CASE("the text of what is allowed has the row's range") {
  CHECK(allowed_text(key_of("listen", "addresses")) == "1 to 64 IP addresses, each with a port");
  CHECK(allowed_text(key_of("listen", "workers")) == "0 to 256");
  CHECK(allowed_text(key_of("upstream", "name")) ==
        "1 to 64 printable ASCII characters without spaces, different for each upstream");
  CHECK(allowed_text(key_of("upstream", "mark")) == "1 to 4294967295, also in hexadecimal (0x10)");
  CHECK(allowed_text(key_of("relay", "deadline")) == "a duration from 100ms to 60s");
  CHECK(allowed_text(key_of("relay", "hedge")) == "\"0%\" to \"100%\"");
  CHECK(allowed_text(key_of("limits", "tcp_idle")) == "a duration from 100ms to 1h");
  CHECK(allowed_text(key_of("limits", "memory")) == "\"auto\" or a size from 6MiB to 64GiB");
  CHECK(allowed_text(key_of("log", "level")) == "\"debug\", \"info\", \"warning\" or \"error\"");
  KeyRow row = key_of("listen", "workers");
  row.range.most = 7;
  CHECK(allowed_text(row) == "0 to 7");
}

TEST_CASE("a row whose text names its range has one") {
  for (const TableRow& table : all_tables()) {
    for (const KeyRow& row : table.keys) {
      CAPTURE(row.name);
      if (row.allowed.find("{}") != std::string_view::npos) CHECK(row.range.least < row.range.most);
    }
  }
}

TEST_CASE("each row names its type in words") {
  CHECK(type_name(key_of("listen", "addresses")) == "a list of strings");
  CHECK(type_name(key_of("listen", "workers")) == "an integer");
  CHECK(type_name(key_of("listen", "share_port")) == "true or false");
  CHECK(type_name(key_of("upstream", "tls_name")) == "a string");
}

TEST_CASE("--print-defaults shows every key with its help") {
  const std::string defaults = defaults_as_toml();
  for (const TableRow& table : all_tables()) {
    for (const KeyRow& row : table.keys) {
      CAPTURE(row.name);
      CHECK(defaults.find("\n" + std::string(row.default_value.empty() ? "# " : "") + std::string(row.name) + " =") !=
            std::string::npos);
      CHECK(defaults.find(row.help.substr(0, 20)) != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace dotrelay
