// A worker puts two answers, of which the first opens a segment, one instruction at a time. After each instruction the
// cache is what it would be if the worker had been killed there, so a copy of the memory is taken and judged as the
// memory of a dead worker: read, given to the supervisor, read again. In some of these copies a second worker takes the
// same segment and dies in the same way, and a third goes on.
#pragma once

#include "readers.hpp"

#include <cstdint>

namespace dotrelay::torn {

struct StepsResult {
  Tally tally;
  std::uint64_t instructions = 0;  ///< of the first worker, in all lives
  std::uint64_t deaths = 0;        ///< copies that were judged
  bool permitted = true;           ///< false: this system lets no process trace its child
  bool until_wrong = false;        ///< one wrong answer is enough

  [[nodiscard]] bool done() const { return until_wrong && tally.wrong > 0; }
};

/// Judges the memory after each `stride`th instruction of the first worker; if `until_wrong`, until something wrong was
/// found.
StepsResult single_step(std::uint32_t stride, bool until_wrong);

}  // namespace dotrelay::torn
