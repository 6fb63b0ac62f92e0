// The start of a supervisor: from nothing, or in the place of another program.
#pragma once

#include <string>

namespace dotrelay {

struct SupervisorOptions {
  std::string config_file;
  bool watch = false;   ///< reload when the configuration's files change
  int resume = -1;      ///< the descriptor of an UpgradeState; -1: a start from nothing
  std::string version;  ///< for texts
};

/// Runs the relay until a signal ends it; returns the exit status. An error is printed.
int run_supervisor(const SupervisorOptions& options);

}  // namespace dotrelay
