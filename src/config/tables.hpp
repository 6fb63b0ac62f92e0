// What a configuration file may hold, declared once: each table is a row and each of its keys is one. The rows feed
// the parser, the error texts, `--print-defaults` and, through it, the manual. The rows of a table stand in a file of
// its own (listen_table.cpp, ...); nothing else knows a table by its name.
#pragma once

#include "config/config.hpp"
#include "config/range.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace dotrelay {

/// What is wrong with a file, and where; line 0 when it is at no place of it.
struct Problem {
  SourcePosition position;
  std::string message;
};

using MaybeProblem = std::optional<Problem>;

/// What a setter gets besides the value. Setters of a repeated table write to the entry that TableRow::begin added.
struct KeyTarget {
  Config& config;
  SourcePosition position;  ///< of the value; line 0 when it is the default
  const Range& range;       ///< of the row
};

/// Nothing when the value was taken, else what is wrong with it.
using KeyProblem = std::optional<std::string>;

using SetText = KeyProblem (*)(const KeyTarget&, std::string_view);
using SetNumber = void (*)(const KeyTarget&, std::int64_t);  ///< only gets what is in the row's range
using SetFlag = void (*)(const KeyTarget&, bool);

/// A list of strings, as many as the row's range says: `begin` empties the target, `add` takes one entry.
struct SetList {
  void (*begin)(const KeyTarget&);
  SetText add;
};

struct KeyRow {
  std::string_view name;
  std::variant<SetText, SetNumber, SetFlag, SetList> set;
  Range range = {};  ///< of a number, of the entries of a list, or what the setter of a text judges by
  std::string_view default_value = {};  ///< as TOML; empty when there is none
  bool required = false;                ///< wherever the table is written
  std::string_view allowed;             ///< see allowed_text(); "{}" stands for the range
  std::string_view help;
};

struct TableRow {
  std::string_view name;
  std::span<const KeyRow> keys;
  std::size_t repeated = 0;    ///< how many [[name]] tables there may be; 0: one [name] table
  bool required = false;       ///< there must be one in the file
  std::string_view help = {};  ///< for --print-defaults
  /// Of a repeated table: adds the entry that the setters write to.
  void (*begin)(Config&) = nullptr;
  /// What the keys of one table ask of each other, and of the repeated tables before. After its last key was read.
  MaybeProblem (*judge)(const Config&) = nullptr;
};

/// In the order of --print-defaults.
std::span<const TableRow> all_tables();

TableRow listen_table();
TableRow upstream_table();
TableRow local_upstream_table();
TableRow zone_table();
TableRow relay_table();
TableRow cache_table();
TableRow limits_table();
TableRow log_table();

/// "[listen]", "[[upstream]]".
std::string bracketed(const TableRow& table);

/// What a key may be, for error texts and the manual.
std::string allowed_text(const KeyRow& row);

/// The type that a row wants, in words.
std::string_view type_name(const KeyRow& row);

}  // namespace dotrelay
