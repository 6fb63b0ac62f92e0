// What all workers know together of one upstream address. It lies in memory that they share, where a worker may die
// between any two instructions: so each fact is one atomic word, nobody holds a lock, and all zero octets mean "nothing
// is known, nothing is wrong". The words have 32 bits, which every CPU can change at once. Health gives them their
// meaning.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace dotrelay {

struct SharedHealth {
  std::atomic<std::uint32_t> verdict;                ///< kind of trouble, back-off step, count of troubles; 0: well
  std::atomic<std::uint32_t> until_ms;               ///< the next trial, or the end of settling: clock's low 32 bits
  std::atomic<std::uint32_t> idle_close_ms;          ///< after which the server closes idle connections; 0: not seen
  std::array<std::atomic<std::uint32_t>, 32> cause;  ///< the trouble in words, NUL-padded; a torn text is only a text
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace dotrelay
