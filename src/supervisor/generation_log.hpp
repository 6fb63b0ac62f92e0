// What the supervisor logs of a generation for the operator: what is served at the beginning, what was done at the end
// or so far.
#pragma once

#include "base/log.hpp"
#include "supervisor/generation.hpp"

#include <string_view>

namespace dotrelay {

/// The addresses and the upstreams.
void log_beginning(Log& log, const GenerationParts& parts);

/// One line that begins with `when`, and a line for each counter at `level`.
void log_totals(Log& log, const Totals& totals, std::string_view when, LogLevel level);

/// The configuration could not be read, or its workers could not start.
void log_refused_reload(Log& log, const std::string& why);

}  // namespace dotrelay
