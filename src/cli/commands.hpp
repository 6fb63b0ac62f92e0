// What the program can be asked to do, one function each; they return the exit status.
#pragma once

#include <string>

namespace dotrelay {

int print_version();

/// Reads and checks the configuration and everything it names; opens no socket.
int check_configuration(const std::string& config_file);

/// Runs the relay as the supervisor.
int relay(const std::string& config_file);

}  // namespace dotrelay
