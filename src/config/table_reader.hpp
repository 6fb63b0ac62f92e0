// The tables of a TOML file, read by their rows: which tables and keys there are, of which type, which are missing.
#pragma once

#include "config/tables.hpp"

#include <span>
#include <toml++/toml.h>

namespace dotrelay {

SourcePosition position_of(const toml::source_region& region);

/// Sets what the rows of tables that are not repeated have as defaults: text, read by the same code as the file.
void apply_defaults(std::span<const TableRow> tables, Config& config);

/// Reads a whole file. The first problem ends it; `config` is then of no use.
MaybeProblem read_tables(const toml::table& root, std::span<const TableRow> tables, Config& config);

}  // namespace dotrelay
