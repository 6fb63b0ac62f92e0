// Chance, passed in so that a test can fix it. Used for message IDs, back-off jitter and hash keys. It is not a
// cryptographic generator: TLS takes its randomness from the library, and IDs inside an authenticated channel only
// need to be unlikely to repeat, not unguessable.
#pragma once

#include <cstdint>
#include <random>

namespace dotrelay {

class Random {
 public:
  /// Seeded by the system, with more than one word: hash keys are drawn from it.
  Random() {
    std::random_device system;
    std::seed_seq seed{system(), system(), system(), system(), system(), system(), system(), system()};
    engine_.seed(seed);
  }
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t u32() { return engine_(); }
  std::uint64_t u64() { return (std::uint64_t{engine_()} << 32) | engine_(); }

  /// Uniform in [0, bound). `bound` must not be 0.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{engine_()} * bound) >> 32);
  }

 private:
  std::mt19937 engine_;
};

}  // namespace dotrelay
