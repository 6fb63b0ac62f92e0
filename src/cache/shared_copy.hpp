// Copies octets between memory of this process and words that other processes may write at the same time. Each word is
// read or written whole; which words belong together, the caller finds out by other means. The order of octets in a
// word is the machine's, so a copy there and back yields the same octets.
#pragma once

#include "base/bytes.hpp"
#include "base/shared_word.hpp"

#include <cstring>

namespace dotrelay {

/// Fills `to` from the words at `from`.
inline void copy_out(const SharedWord* from, MutableBytes to) {
  std::uint8_t* at = to.data();
  std::size_t left = to.size();
  for (; left >= sizeof(std::uint32_t); left -= sizeof(std::uint32_t), at += sizeof(std::uint32_t)) {
    const std::uint32_t word = (from++)->load(std::memory_order_relaxed);
    std::memcpy(at, &word, sizeof word);
  }
  if (left == 0) return;
  const std::uint32_t word = from->load(std::memory_order_relaxed);
  std::memcpy(at, &word, left);
}

/// Writes `from` to the words at `to`. Zeros fill the last word.
inline void copy_in(Bytes from, SharedWord* to) {
  const std::uint8_t* at = from.data();
  std::size_t left = from.size();
  for (; left >= sizeof(std::uint32_t); left -= sizeof(std::uint32_t), at += sizeof(std::uint32_t)) {
    std::uint32_t word;
    std::memcpy(&word, at, sizeof word);
    (to++)->store(word, std::memory_order_relaxed);
  }
  if (left == 0) return;
  std::uint32_t word = 0;
  std::memcpy(&word, at, left);
  to->store(word, std::memory_order_relaxed);
}

/// Moves `count` words towards the front of the same memory: `to` is at or before `from`.
inline void move_down(const SharedWord* from, SharedWord* to, std::size_t count) {
  if (from == to) return;
  for (; count > 0; --count) (to++)->store((from++)->load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace dotrelay
