// The supervisor process: holds the sockets, keeps a generation of workers serving, and puts another one in its place
// when the configuration changes, or another program in its own. It does no TLS and no DNS. As PID 1 it reaps whatever
// is left to it.
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
