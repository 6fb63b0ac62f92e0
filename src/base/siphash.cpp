// See siphash.hpp. The constants are those of the paper.
#include "base/siphash.hpp"

#include <bit>

namespace dotrelay {
namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }

  void absorb(std::uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

/// The first octets of `data`, at most eight.
std::uint64_t load_little_endian(Bytes data) {
  const std::uint64_t word = load_word(data.data(), data.size());
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

}  // namespace

std::uint64_t siphash(HashKey key, Bytes data) {
  State state{key.first ^ 0x736f6d6570736575, key.second ^ 0x646f72616e646f6d, key.first ^ 0x6c7967656e657261,
              key.second ^ 0x7465646279746573};
  const std::uint64_t length = std::uint64_t{data.size() & 0xff} << 56;
  while (data.size() >= 8) {
    state.absorb(load_little_endian(data));
    data = data.subspan(8);
  }
  state.absorb(length | load_little_endian(data));
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace dotrelay
