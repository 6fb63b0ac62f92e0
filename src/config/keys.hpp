// Every configuration key, declared once: the row feeds the parser, the error texts, `--print-defaults` and, through
// it, the manual.
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace dotrelay {

/// What a row may write to. `upstream` is the table being read, nullptr outside [[upstream]].
struct KeyTarget {
  Config& config;
  UpstreamConfig* upstream = nullptr;
  SourcePosition position;
};

/// Nothing when the value was taken, else what is wrong with it.
using KeyProblem = std::optional<std::string>;

using SetText = KeyProblem (*)(const KeyTarget&, std::string_view);
using SetNumber = KeyProblem (*)(const KeyTarget&, std::int64_t);
using SetFlag = KeyProblem (*)(const KeyTarget&, bool);

/// A list of strings: `begin` empties the target, `add` takes one entry.
struct SetList {
  void (*begin)(const KeyTarget&);
  SetText add;
  std::size_t least;
  std::size_t most;
};

struct KeyRow {
  std::string_view table;  ///< "listen", "upstream", ...
  std::string_view name;
  std::variant<SetText, SetNumber, SetFlag, SetList> set;
  std::string_view default_value = {};  ///< as TOML; empty when there is none
  bool required = false;
  std::string_view allowed;  ///< for error texts and the manual
  std::string_view help;
};

std::span<const KeyRow> all_keys();

/// The type that a row wants, in words.
std::string_view type_name(const KeyRow& row);

}  // namespace dotrelay
