// What the supervisor logs of a generation for the operator: what is served at the beginning, what was done at the end.
#pragma once

#include "base/log.hpp"
#include "process/generation.hpp"

namespace dotrelay {

/// The addresses and the upstreams.
void log_beginning(Log& log, const GenerationParts& parts);

/// One line, at level debug all counters.
void log_totals(Log& log, const CounterTotals& totals);

}  // namespace dotrelay
