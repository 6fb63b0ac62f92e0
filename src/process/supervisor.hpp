// The supervisor process: binds the sockets, starts the workers, replaces those that die or hang, and ends when told
// to. It does no TLS and no DNS. As PID 1 it reaps whatever is left to it.
#pragma once

#include "config/config.hpp"

#include <string>

namespace dotrelay {

/// Runs the relay until a signal ends it; returns the exit status. `config_text` is the text that `config` was made
/// from.
int run_supervisor(const Config& config, const std::string& config_text, const std::string& config_file);

}  // namespace dotrelay
