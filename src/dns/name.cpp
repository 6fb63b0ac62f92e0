// See name.hpp.
#include "dns/name.hpp"

#include <cassert>
#include <cstdio>

namespace dotrelay::dns {

Bytes read_plain_name(ByteReader& reader) {
  ByteReader ahead = reader;
  std::size_t length = 0;
  for (;;) {
    const std::uint8_t label = ahead.u8();
    if (ahead.failed() || label > kMaxLabel) return {};
    ahead.take(label);
    length += 1U + label;
    if (ahead.failed() || length > kMaxName) return {};
    if (label == 0) return reader.take(length);
  }
}

bool skip_name(ByteReader& reader) {
  const std::size_t begin = reader.offset();
  std::size_t length = 0;
  for (;;) {
    const std::uint8_t label = reader.u8();
    if (reader.failed()) return false;
    if (label == 0) return true;
    if ((label & 0xc0) == 0xc0) {
      const std::size_t target = (std::size_t{label} & 0x3fU) << 8 | reader.u8();
      return !reader.failed() && target < begin;  // RFC 1035 4.1.4: a prior occurrence
    }
    if (label > kMaxLabel) return false;
    reader.take(label);
    length += 1U + label;
    if (reader.failed() || length >= kMaxName) return false;
  }
}

bool same_name(Bytes left, Bytes right) { return std::ranges::equal(left, right, {}, fold_case, fold_case); }

bool is_at_or_below(Bytes name, Bytes suffix) {
  while (name.size() > suffix.size()) name = name.subspan(1U + name[0]);
  return same_name(name, suffix);
}

std::string to_text(Bytes name) {
  std::string text;
  while (!name.empty() && name[0] != 0) {
    for (const std::uint8_t octet : name.subspan(1, name[0])) {
      if (octet == '.' || octet == '\\') {
        text += '\\';
        text += static_cast<char>(octet);
      } else if (octet > ' ' && octet < 0x7f) {
        text += static_cast<char>(octet);
      } else {
        char escaped[5];
        std::snprintf(escaped, sizeof escaped, "\\%03d", octet);
        text += escaped;
      }
    }
    text += '.';
    name = name.subspan(1U + name[0]);
  }
  return text.empty() ? "." : text;
}

Spelling::Spelling(Bytes name) {
  assert(name.size() <= kMaxName);
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (fold_case(name[i]) != name[i]) capitals_[i / 8] |= static_cast<std::uint8_t>(1U << (i % 8));
  }
}

void Spelling::apply(MutableBytes name) const {
  assert(name.size() <= kMaxName);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool capital = ((capitals_[i / 8] >> (i % 8)) & 1) != 0;
    name[i] = capital ? static_cast<std::uint8_t>(name[i] & ~0x20) : fold_case(name[i]);
  }
}

}  // namespace dotrelay::dns
