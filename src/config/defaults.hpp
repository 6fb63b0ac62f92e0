// The rows as a file for people: --print-defaults.
#pragma once

#include "config/tables.hpp"

#include <span>
#include <string>

namespace dotrelay {

/// All keys with their defaults and help as a commented TOML file that parses to the defaults. Repeated tables are
/// comments as a whole.
std::string defaults_as_toml(std::span<const TableRow> tables = all_tables());

}  // namespace dotrelay
