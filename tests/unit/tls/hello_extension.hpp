// What a ClientHello says in the clear (RFC 8446 4.1.2).
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace dotrelay::test {

inline constexpr std::uint16_t kServerName = 0;  // RFC 6066 3
inline constexpr std::uint16_t kAlpn = 16;       // RFC 7301 3.1

/// The content of an extension of the ClientHello in the record `hello`; nothing when it is not there.
inline std::optional<std::string> hello_extension(Bytes hello, std::uint16_t number) {
  ByteReader reader(hello, 5 + 4 + 2 + 32);  // headers of record and message, version, random
  reader.take(reader.u8());                  // session ID
  reader.take(reader.u16());                 // cipher suites
  reader.take(reader.u8());                  // compression
  ByteReader extensions(reader.take(reader.u16()));
  while (!extensions.at_end() && !extensions.failed()) {
    const std::uint16_t found = extensions.u16();
    const Bytes content = extensions.take(extensions.u16());
    if (found == number && !extensions.failed()) return std::string(content.begin(), content.end());
  }
  return std::nullopt;
}

}  // namespace dotrelay::test
