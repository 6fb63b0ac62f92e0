// Runs lives: one in this process, or many in a child for each CPU. A child that crashes or hangs is a breach like any
// other: its seed is known, and the life is played again to show how it came.
#pragma once

#include "world.hpp"

#include <cstdint>

namespace dotrelay::simulation {

struct Options {
  std::uint32_t first = 1;
  std::uint32_t count = 0;
  Promise promise = Promise::upstreams;
  bool trace = false;  ///< print everything that happens
  bool all = false;    ///< go on after a breach: one line for each
};

/// Both return the exit status: 0 when nothing was broken. live_one() lives the first seed.
int live_one(const Options& options);
int live_many(const Options& options);

}  // namespace dotrelay::simulation
