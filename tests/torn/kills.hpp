// Workers that read and write one cache are killed at random moments; all that is found meanwhile, by those that live
// and those that come, must be right.
#pragma once

#include "readers.hpp"

#include <cstdint>

namespace dotrelay::torn {

struct KillsResult {
  Tally tally;
  std::uint64_t puts = 0;
  std::uint32_t kills = 0;
};

/// Kills until so many were killed, or, if `until_wrong`, something wrong was found.
KillsResult kill_workers(std::uint32_t kills, std::uint32_t seed, bool until_wrong);

}  // namespace dotrelay::torn
