// Proves that the checker can fail: each invariant is broken once, in events made up for it, and must be named.
#pragma once

namespace dotrelay::simulation {

/// Prints what was not noticed, then "N passed, N failed". Returns the exit status.
int run_self_test();

}  // namespace dotrelay::simulation
