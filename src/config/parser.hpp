// TOML to Config, with errors a person can act on: "FILE:LINE:COLUMN: what is wrong, what is allowed".
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"

#include <string>
#include <string_view>

namespace dotrelay {

/// The largest configuration file that is read.
inline constexpr std::size_t kMaxConfigBytes = 1024 * 1024;

/// `file` is only used for error texts. Opens no file: whether a ca_file can be read is checked by who loads it.
Result<Config> parse_config(std::string_view text, std::string_view file);

/// "FILE:LINE:COLUMN: ", or "FILE: " where there is no position.
std::string position_prefix(std::string_view file, SourcePosition position);

/// What is wrong with an upstream address that the relay itself serves.
std::string own_upstream(const Endpoint& endpoint);

/// All keys with their defaults and help as a commented TOML file that parses to the defaults.
std::string defaults_as_toml();

}  // namespace dotrelay
