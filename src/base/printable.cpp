// See printable.hpp.
#include "base/printable.hpp"

#include <cstddef>
#include <cstdint>

namespace dotrelay {
namespace {

/// Octets of the character at the front, of which `text` has at least one; 0 when they are no UTF-8 (RFC 3629 4).
std::size_t character_size(std::string_view text, std::uint32_t& character) {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = octet(0);
  character = first;
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  character = first & (0xff >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return 0;
    character = character << 6 | (octet(i) & 0x3f);
  }
  const bool overlong = (size == 3 && character < 0x800) || (size == 4 && character < 0x10000);
  const bool surrogate = character >= 0xd800 && character < 0xe000;
  return overlong || surrogate || character > 0x10ffff ? 0 : size;
}

bool is_control(std::uint32_t character) { return character < 0x20 || (character >= 0x7f && character < 0xa0); }

}  // namespace

std::string printable(std::string_view text) {
  std::string harmless;
  harmless.reserve(text.size());
  while (!text.empty()) {
    std::uint32_t character = 0;
    const std::size_t size = character_size(text, character);
    if (size == 0 || is_control(character)) {
      harmless.push_back('?');
    } else {
      harmless.append(text.substr(0, size));
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return harmless;
}

}  // namespace dotrelay
