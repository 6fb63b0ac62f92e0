// See name.hpp.
#include "dns/name.hpp"

#include <cassert>
#include <cstdio>

namespace dotrelay::dns {

bool same_when_folded(Bytes left, Bytes right) {
  if (left.size() != right.size()) return false;
  for (std::size_t at = 0; at < left.size(); at += kWord) {
    const std::size_t rest = left.size() - at;
    if (fold_word(load_word(&left[at], rest)) != fold_word(load_word(&right[at], rest))) return false;
  }
  return true;
}

Bytes last_labels(Bytes name, std::size_t count) {
  std::size_t labels = 0;
  for (std::size_t at = 0; name[at] != 0; at += 1U + name[at]) ++labels;
  for (; labels > count; --labels) name = name.subspan(1U + name[0]);
  return name;
}

std::vector<std::uint8_t> from_text(std::string_view text) {
  std::vector<std::uint8_t> name;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    assert(end > begin && end - begin <= kMaxLabel);
    name.push_back(static_cast<std::uint8_t>(end - begin));
    for (const char c : text.substr(begin, end - begin)) name.push_back(static_cast<std::uint8_t>(c));
    begin = end + 1;
  }
  name.push_back(0);
  assert(name.size() > 1 && name.size() <= kMaxName);
  return name;
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
  for (std::size_t at = 0; at < name.size(); at += kWord) {
    const std::uint64_t capitals = capitals_of(load_word(&name[at], name.size() - at));
    if (capitals != 0) capitals_[at / 64] |= (capitals >> 5) << (at / kWord % 8);
  }
}

void Spelling::apply(MutableBytes name) const {
  assert(name.size() <= kMaxName);
  for (std::size_t at = 0; at < name.size(); at += kWord) {
    const std::uint64_t octets = load_word(&name[at], name.size() - at);
    const std::uint64_t capitals = ((capitals_[at / 64] >> (at / kWord % 8)) & 0x0101010101010101) << 5;
    // Mostly none: servers repeat a name as it was spelled.
    const std::uint64_t otherwise = capitals ^ capitals_of(octets);
    if (otherwise != 0) store_word(&name[at], name.size() - at, octets ^ otherwise);
  }
}

}  // namespace dotrelay::dns
