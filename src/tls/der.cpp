// See der.hpp.
#include "tls/der.hpp"

#include <algorithm>
#include <mbedtls/asn1.h>

namespace dotrelay::der {

std::optional<Element> Reader::next() {
  constexpr std::uint8_t kSeveralTagOctets = 0x1f;
  if (rest_.empty() || (rest_[0] & kSeveralTagOctets) == kSeveralTagOctets) return std::nullopt;
  // The library wants pointers to what it does not write to.
  auto* at = const_cast<unsigned char*>(rest_.data()) + 1;
  const unsigned char* const end = rest_.data() + rest_.size();
  std::size_t size = 0;
  if (mbedtls_asn1_get_len(&at, end, &size) != 0) return std::nullopt;
  const auto header = static_cast<std::size_t>(at - rest_.data());
  const Element element{rest_[0], rest_.subspan(header, size), rest_.first(header + size)};
  rest_ = rest_.subspan(header + size);
  return element;
}

std::optional<Bytes> Reader::next(std::uint8_t tag) {
  if (next_tag() != tag) return std::nullopt;
  const std::optional<Element> element = next();
  if (!element) return std::nullopt;
  return element->content;
}

std::string dotted(Bytes object_identifier) {
  std::string text;
  std::uint64_t arc = 0;
  for (const std::uint8_t octet : object_identifier.first(std::min<std::size_t>(object_identifier.size(), 64))) {
    arc = arc << 7 | (octet & 0x7f);
    if ((octet & 0x80) != 0) continue;
    if (text.empty()) {  // X.690 8.19.4: the first two arcs are one number
      const std::uint64_t first = std::min<std::uint64_t>(arc / 40, 2);
      text = std::to_string(first) + "." + std::to_string(arc - first * 40);
    } else {
      text += "." + std::to_string(arc);
    }
    arc = 0;
  }
  return text;
}

}  // namespace dotrelay::der
