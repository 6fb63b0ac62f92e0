// See pin.hpp.
#include "config/pin.hpp"

namespace dotrelay {
namespace {

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

}  // namespace

std::optional<Pin> parse_pin(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256/";
  // 32 octets are 43 characters and one "=".
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 44 || !text.ends_with('=')) return std::nullopt;
  Pin pin{};
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::size_t size = 0;
  for (const char c : text.substr(kPrefix.size(), 43)) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      pin[size++] = static_cast<std::uint8_t>(bits >> bit_count);
    }
  }
  if ((bits & 3) != 0) return std::nullopt;  // the two bits that are left over must be zero
  return pin;
}

}  // namespace dotrelay
