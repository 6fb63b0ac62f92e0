// SipHash-1-3 (Aumasson and Bernstein, 2012), the keyed hash for tables whose keys come from the network: without the
// key nobody can choose names that collide. One round for each word and three at the end are what the hash tables of
// Linux (hsiphash), Rust and Python use: nobody sees a table's hashes, so the margin of SipHash-2-4 buys nothing. Not
// for authentication.
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
