// What the program can be asked to do, one function each; they return the exit status.
#pragma once

#include "cli/command_line.hpp"

#include <string_view>

namespace dotrelay {

/// Prints to standard output; an error when that does not take all of it.
int print(std::string_view text);

int print_version();

/// Reads and checks the configuration and everything it names, and judges it by this machine; takes no port. What works
/// less than the file says is a warning on standard error and does not change the status.
int check_configuration(const CommandLine& line);

/// Runs the relay as the supervisor.
int relay(const CommandLine& line);

}  // namespace dotrelay
