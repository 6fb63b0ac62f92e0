// What every benchmark does besides measuring: it proves once that what it measures works, since a parser that fails at
// the first octet is fast.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace dotrelay::bench {

inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "bench-micro: this does not hold: %s\n", what);
  std::abort();
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
