// Domain names in wire format (RFC 1035 3.1): reading past them, comparing and printing. Length octets are below 64 and
// so below the letters, which is why whole names can be compared octet by octet with letters folded (RFC 4343).
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dotrelay::dns {

inline std::uint8_t fold_case(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20) : octet;
}

/// Eight octets at once: 0x20, the bit of small letters, for each that is a capital, and 0 for each other.
constexpr std::uint64_t capitals_of(std::uint64_t octets) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  // Without their top bits no sum of two octets carries into the next octet. The first sum has the top bit where the
  // octet is 'A' or greater, the second where it is greater than 'Z'.
  const std::uint64_t low = octets & (kEach * 0x7f);
  const std::uint64_t from_a = low + kEach * (0x80 - 'A');
  const std::uint64_t behind_z = low + kEach * (0x80 - ('Z' + 1));
  return (from_a & ~behind_z & ~octets & (kEach * 0x80)) >> 2;
}

/// Octets that are folded, compared and respelled at once. Nothing depends on their order in a word.
inline constexpr std::size_t kWord = sizeof(std::uint64_t);

/// The same octets in lower case.
constexpr std::uint64_t fold_word(std::uint64_t octets) { return octets | capitals_of(octets); }

/// Calls take() with `name` in lower case, eight octets at once in the machine's order. The last eight overlap those
/// before them where the size is no multiple of eight; zeros follow a name of less than eight octets. So two names of
/// one size have the same words when they are the same, and only then.
template <class Take>
void for_each_folded_word(Bytes name, Take take) {
  std::size_t at = 0;
  for (; name.size() - at >= kWord; at += kWord) take(fold_word(load_word(&name[at], kWord)));
  if (at == name.size()) return;
  take(fold_word(at == 0 ? load_word(name.data(), name.size()) : load_word(&name[name.size() - kWord], kWord)));
}

/// Reads a name without compression (what a QNAME must be: nothing stands before it that it could point to). Returns
/// its octets with the root label, or nothing when it is malformed.
[[gnu::always_inline]] inline Bytes read_plain_name(ByteReader& reader) {
  const Bytes rest = reader.rest();
  const std::size_t end = std::min(rest.size(), kMaxName);
  for (std::size_t at = 0; at < end; at += 1U + rest[at]) {
    if (rest[at] == 0) return reader.take(at + 1);
    if (rest[at] > kMaxLabel) break;
  }
  return {};
}

/// Moves past a name that may end in a compression pointer; the pointer is not followed, but must point before the
/// name, counted from the beginning of what the reader reads. False when malformed.
[[gnu::always_inline]] inline bool skip_name(ByteReader& reader) {
  const Bytes rest = reader.rest();
  const std::size_t end = std::min(rest.size(), kMaxName);
  for (std::size_t at = 0; at < end; at += 1U + rest[at]) {
    if (rest[at] == 0) return !reader.take(at + 1).empty();
    if (rest[at] <= kMaxLabel) continue;
    if (rest[at] < 0xc0 || rest.size() - at < 2) break;
    const std::size_t target = load_u16(&rest[at]) & 0x3fffU;
    return target < reader.offset() && !reader.take(at + 2).empty();  // RFC 1035 4.1.4: a prior occurrence
  }
  return false;
}

/// The same octets but for the case of letters.
bool same_when_folded(Bytes left, Bytes right);

/// RFC 4343: ASCII letters compare without case. Mostly there is no difference: servers repeat a name as it was
/// spelled.
inline bool same_name(Bytes left, Bytes right) { return equal(left, right) || same_when_folded(left, right); }

/// The last `count` labels of a plain name and the root label; the whole name when it has fewer.
Bytes last_labels(Bytes name, std::size_t count);

/// The wire format of a valid name other than the root that is written without escapes and without a final dot.
std::vector<std::uint8_t> from_text(std::string_view text);

/// Presentation format with a trailing dot, escapes of RFC 1035 5.1; "." for the root.
std::string to_text(Bytes name);

/// Which letters of a name are capitals: enough to give each of several clients its own spelling back.
class Spelling {
 public:
  Spelling() = default;
  explicit Spelling(Bytes name);

  /// Writes this spelling over `name`, which must be the same name in any spelling.
  void apply(MutableBytes name) const;

  friend bool operator==(const Spelling&, const Spelling&) = default;

 private:
  /// A bit for each octet: bit 8 * j + i of word k is for octet j of the (8 * k + i)th eight octets. So the bits of
  /// eight octets stay where capitals_of() has them, and eight times eight lie side by side.
  std::array<std::uint64_t, (kMaxName + 63) / 64> capitals_{};
};

}  // namespace dotrelay::dns
