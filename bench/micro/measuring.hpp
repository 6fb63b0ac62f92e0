// What the benchmarks share besides their messages. Each proves that what it measures works, since a parser that fails
// at the first octet is fast; and each says what one item cost, though an iteration may handle a run of them.
#pragma once

#include <benchmark/benchmark.h>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <span>

namespace dotrelay::bench {

inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "bench-micro: this does not hold: %s\n", what);
  std::abort();
}

/// Each iteration has handled `items`: sets items_per_second and the column "each", the time that one took.
inline void count_items(benchmark::State& state, std::size_t items = 1) {
  const auto count = static_cast<double>(items);
  state.SetItemsProcessed(state.iterations() * static_cast<int>(items));
  state.counters["each"] =
      benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

/// Seconds that this thread has computed, for benchmarks that measure a part of their loop: what else runs on the
/// machine does not count. Asking costs a system call.
inline double computed_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Goes round the items for ever. Their number must be a power of two, so that a step costs next to nothing.
template <class T>
class Ring {
 public:
  explicit Ring(std::span<T> items) : items_(items) {
    check(!items.empty() && (items.size() & (items.size() - 1)) == 0, "a ring has a power of two of items");
  }

  T& next() { return items_[at_++ & (items_.size() - 1)]; }

 private:
  std::span<T> items_;
  std::size_t at_ = 0;
};

}  // namespace dotrelay::bench
