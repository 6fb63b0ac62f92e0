// Messages on a stream (RFC 1035 4.2.2, RFC 7766): each follows its length in two octets.
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"

#include <array>
#include <cassert>
#include <cstdint>
#include <optional>

namespace dotrelay::dns {

inline constexpr std::size_t kFramePrefix = 2;

/// The first message in `stream`, without its prefix, once all of it is there. It may be empty: a zero-length frame.
/// The frame takes kFramePrefix + message.size() octets.
inline std::optional<Bytes> first_frame(Bytes stream) {
  if (stream.size() < kFramePrefix) return std::nullopt;
  const std::size_t length = load_u16(stream.data());
  if (stream.size() - kFramePrefix < length) return std::nullopt;
  return stream.subspan(kFramePrefix, length);
}

/// The prefix for a message of `size` octets, at most kMaxMessage.
inline std::array<std::uint8_t, kFramePrefix> frame_prefix(std::size_t size) {
  assert(size <= kMaxMessage);
  return {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)};
}

}  // namespace dotrelay::dns
