// The configuration file read and checked with everything it names, as the start, `check` and a reload need it.
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"
#include "supervisor/host_check.hpp"

#include <string>
#include <vector>

namespace dotrelay {

struct LoadedConfig {
  std::string text;
  Config config;                      ///< made from `text`
  std::vector<std::string> warnings;  ///< of what it names, for the operator: "FILE: certificate 2 is left out: ..."
  HostVerdict verdict;
};

/// The error is one line for a person: "FILE:LINE:COLUMN: what is wrong".
Result<LoadedConfig> load_config(const std::string& config_file);

/// The file itself and the CA files that it names, as far as it can be read.
std::vector<std::string> files_of_config(const std::string& config_file);

}  // namespace dotrelay
