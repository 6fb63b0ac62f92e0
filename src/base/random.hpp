// Chance, passed in so that a test can fix it. Used for message IDs, back-off jitter and hash keys. TLS takes its
// randomness from the library, and IDs inside an authenticated channel only need to be unlikely to repeat, so this is
// what costs little: the keyed hash of a counter.
#pragma once

#include "base/siphash.hpp"

#include <cstdint>
#include <random>

namespace dotrelay {

class Random {
 public:
  /// Seeded by the system, with more than one word: hash keys are drawn from it.
  Random() {
    std::random_device system;
    const auto word = [&] { return std::uint64_t{system()} << 32 | system(); };
    key_ = {word(), word()};
  }
  explicit Random(std::uint32_t seed) : key_{seed, 0} {}

  std::uint32_t u32() { return static_cast<std::uint32_t>(u64()); }

  std::uint64_t u64() {
    SipHash hash(key_);
    hash.absorb(drawn_++);
    return hash.result();
  }

  /// Uniform in [0, bound). `bound` must not be 0.
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>((std::uint64_t{u32()} * bound) >> 32); }

 private:
  HashKey key_;
  std::uint64_t drawn_ = 0;
};

}  // namespace dotrelay
