// The start of a worker process.
#pragma once

#include "process/inheritance.hpp"

#include <string>

namespace dotrelay {

/// Serves until told to stop; returns the exit status. `config_file` is only used in texts.
int run_worker(const Inheritance& inheritance, const std::string& config_file);

}  // namespace dotrelay
