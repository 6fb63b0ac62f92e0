// TOML to Config, with errors a person can act on: "FILE:LINE:COLUMN: what is wrong, what is allowed".
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"
#include "config/tables.hpp"

#include <span>
#include <string>
#include <string_view>

namespace dotrelay {

/// The largest configuration file that is read.
inline constexpr std::size_t kMaxConfigBytes = 1024 * 1024;

/// `file` is only used for error texts. Opens no file: a ca_file is checked when it is loaded.
Result<Config> parse_config(std::string_view text, std::string_view file,
                            std::span<const TableRow> tables = all_tables());

/// "FILE:LINE:COLUMN: ", or "FILE: " where there is no position.
std::string position_prefix(std::string_view file, SourcePosition position);

}  // namespace dotrelay
