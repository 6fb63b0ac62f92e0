// See siphash.hpp.
#include "base/siphash.hpp"

namespace dotrelay {
namespace {

/// The first octets of `data`, at most eight.
std::uint64_t load_little_endian(Bytes data) {
  const std::uint64_t word = load_word(data.data(), data.size());
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

}  // namespace

std::uint64_t siphash(HashKey key, Bytes data) {
  SipHash hash(key);
  const std::uint64_t length = std::uint64_t{data.size() & 0xff} << 56;
  while (data.size() >= 8) {
    hash.absorb(load_little_endian(data));
    data = data.subspan(8);
  }
  hash.absorb(length | load_little_endian(data));
  return hash.result();
}

}  // namespace dotrelay
