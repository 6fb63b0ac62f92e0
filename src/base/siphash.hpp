// SipHash-2-4 (Aumasson and Bernstein, 2012), the keyed hash for tables whose keys come from the network: without the
// key nobody can choose names that collide.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace dotrelay {

struct HashKey {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

std::uint64_t siphash(HashKey key, Bytes data);

}  // namespace dotrelay
