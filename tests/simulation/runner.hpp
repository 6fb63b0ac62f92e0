// Runs lives: one in this process, or many in a child for each CPU. A child that crashes or hangs is a breach like any
// other: its seed is known, and the life is played again to show how it came.
#pragma once

#include "world.hpp"

#include <cstdint>

namespace dotrelay::simulation {

/// Both return the exit status: 0 when nothing was broken.
int live_one(std::uint32_t seed, Promise promise, bool trace);
int live_many(std::uint32_t first, std::uint32_t count, Promise promise);

}  // namespace dotrelay::simulation
