// SipHash-1-3 (Aumasson and Bernstein, 2012), the keyed hash for tables whose keys come from the network: without the
// key no client can choose names that collide. One round for each word and three at the end are what the hash tables of
// Linux (hsiphash), Rust and Python use: no client sees a table's hashes, so the margin of SipHash-2-4 buys nothing.
// Not for authentication.
#pragma once

#include "base/bytes.hpp"

#include <bit>
#include <cstdint>

namespace dotrelay {

struct HashKey {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

/// Of words, as they come. The constants are those of the paper.
class SipHash {
 public:
  explicit SipHash(HashKey key)
      : v0_(key.first ^ 0x736f6d6570736575),
        v1_(key.second ^ 0x646f72616e646f6d),
        v2_(key.first ^ 0x6c7967656e657261),
        v3_(key.second ^ 0x7465646279746573) {}

  void absorb(std::uint64_t word) {
    v3_ ^= word;
    round();
    v0_ ^= word;
  }

  /// No word may follow.
  [[nodiscard]] std::uint64_t result() {
    v2_ ^= 0xff;
    for (int i = 0; i < 3; ++i) round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  void round() {
    v0_ += v1_;
    v2_ += v3_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v1_;
    v0_ += v3_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

/// Of octets, as the paper has it.
std::uint64_t siphash(HashKey key, Bytes data);

}  // namespace dotrelay
