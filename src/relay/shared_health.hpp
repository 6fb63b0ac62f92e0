// What all workers know together of one upstream address. It lies in memory that they share, where a worker may die
// between any two instructions: so each fact is one atomic word, nobody holds a lock, and all zero octets mean "nothing
// is known, nothing is wrong". Health gives the words their meaning.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace dotrelay {

struct SharedHealth {
  std::atomic<std::uint64_t> verdict;                ///< kind of trouble, back-off step and next trial; 0: well
  std::array<std::atomic<std::uint64_t>, 16> cause;  ///< the trouble in words, NUL-padded; a torn text is only a text
  std::atomic<std::uint32_t> idle_close_ms;          ///< after which the server closes idle connections; 0: not seen
};

}  // namespace dotrelay
