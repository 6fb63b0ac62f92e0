// Arbitrary octets as a response that may be kept, and as offsets of TTLs from spoilt memory. The TTLs that are found
// are those that a reader of this file's own finds; nothing else changes when they do; and no life exceeds the least of
// them.
#include "fuzz.hpp"

#include "dns/compressed_name.hpp"
#include "dns/lifetime.hpp"
#include "dns/ttl_fields.hpp"

#include <algorithm>
#include <vector>

using namespace dotrelay;
using namespace dotrelay::dns;

namespace {

using Octets = std::vector<std::uint8_t>;
using Offsets = std::vector<std::uint16_t>;

std::uint32_t load_u32(const Octets& octets, std::size_t at) {
  return std::uint32_t{load_u16(&octets[at])} << 16 | load_u16(&octets[at + 2]);
}

std::uint32_t ttl_at(const Octets& message, std::uint16_t field) {
  const std::uint32_t ttl = load_u32(message, field);
  return (ttl & 0x80000000) != 0 ? 0 : ttl;
}

/// The TTL fields of all records but OPT. The message is known to be well-formed.
Offsets find_fields(const Octets& message, const ResponseView& response) {
  Offsets fields;
  std::size_t at = kHeaderSize + response.question->wire_size();
  int left = load_u16(&message[6]) + load_u16(&message[8]) + load_u16(&message[10]);
  for (; left > 0; --left) {
    while (message[at] != 0 && message[at] < 0xc0) at += 1U + message[at];
    at += message[at] == 0 ? 1 : 2;
    if (load_u16(&message[at]) != type::opt) fields.push_back(static_cast<std::uint16_t>(at + 4));
    at += 10U + load_u16(&message[at + 8]);
  }
  assert(at == response.size);
  return fields;
}

void check_life(const Octets& message, const Lifetime& life, const Offsets& fields) {
  std::uint32_t least = kMaxTtl;
  for (const std::uint16_t field : fields) least = std::min(least, ttl_at(message, field));
  const unsigned flags = load_u16(&message[2]);
  assert(!life.may_be_kept() || (flags & flag::tc) == 0);
  if (!life.may_be_kept() || life.kind == ResponseKind::failure) {
    assert(life.seconds == 0);
    return;
  }
  assert(life.seconds > 0 && life.seconds <= least);
  const bool positive = life.kind == ResponseKind::positive;
  assert(positive ? life.seconds == least : life.seconds <= kMaxNegativeLifetime);
  assert(!positive || load_u16(&message[6]) > 0);  // of the answer section
  assert(positive || load_u16(&message[8]) > 0);   // of the authority section
  assert((life.kind == ResponseKind::nxdomain) == ((flags & flag::rcode_mask) == 3));
}

/// The fields hold what `expected` makes of what was there, and all other octets are as they were.
template <class Expected>
void check_change(const Octets& before, const Octets& after, const Offsets& fields, Expected expected) {
  Octets rest = after;
  for (const std::uint16_t field : fields) {
    assert(load_u32(after, field) == expected(ttl_at(before, field)));
    std::copy_n(before.begin() + field, kTtlSize, rest.begin() + field);
  }
  assert(rest == before);
  const auto response = parse_response(after);
  assert(response && response->size == parse_response(before)->size);
}

void check_changes(const Octets& message, const Offsets& fields, std::uint32_t seconds) {
  Octets changed = message;
  assert(age_ttls(changed, fields, seconds));
  check_change(message, changed, fields, [&](std::uint32_t ttl) { return ttl > seconds ? ttl - seconds : 0; });
  changed = message;
  assert(bound_ttls(changed, fields, seconds));
  check_change(message, changed, fields, [&](std::uint32_t ttl) { return ttl > seconds ? seconds : ttl; });
  changed = message;
  assert(set_ttls(changed, fields, 5));
  check_change(message, changed, fields, [](std::uint32_t) { return 5U; });
}

void check_response(const Octets& message, std::size_t room, std::uint32_t seconds) {
  const auto response = parse_response(message);
  if (!response) return;
  constexpr std::uint16_t kUnwritten = 0xeeee;
  Offsets fields(room + 1, kUnwritten);
  const Lifetime life = lifetime_of(message, *response, std::span(fields).first(room));
  assert(fields.back() == kUnwritten && life.ttl_count <= room);
  if (!response->question) {
    assert(life.obstacle == Obstacle::malformed);
    return;
  }
  const Offsets found = find_fields(message, *response);
  check_life(message, life, found);
  check_changes(message, found, seconds);
  if (!life.may_be_kept()) return;
  fields.resize(life.ttl_count);
  assert(fields == found);
}

/// Offsets may lead anywhere: what is changed lies in the message, of which a sanitizer knows the bounds.
void check_spoilt_offsets(const Octets& octets, std::uint32_t seconds) {
  const std::size_t half = octets.size() / 2;
  Octets message(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(half));
  message.shrink_to_fit();
  Offsets offsets;
  for (std::size_t at = half; at + 2 <= octets.size(); at += 2) offsets.push_back(load_u16(&octets[at]));
  const bool inside = std::ranges::all_of(offsets, [&](std::uint16_t offset) { return offset + kTtlSize <= half; });
  assert(age_ttls(message, offsets, seconds) == inside);
  assert(bound_ttls(message, offsets, seconds) == inside);
  assert(set_ttls(message, offsets, seconds) == inside);
}

/// Names at any two places of the message compare the same in both directions, and end.
void check_names(const Octets& octets, std::uint32_t seed) {
  const std::size_t left = seed % (octets.size() + 2);
  const std::size_t right = seed / 7 % (octets.size() + 2);
  assert(same_name_in(octets, left, right) == same_name_in(octets, right, left));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kSettings = 5;
  if (size < kSettings || size > kMaxMessage) return 0;
  const std::uint32_t seconds = std::uint32_t{load_u16(data + 1)} << 16 | load_u16(data + 3);
  const Octets message(data + kSettings, data + size);
  check_response(message, data[0], seconds);
  check_spoilt_offsets(message, seconds);
  check_names(message, seconds);
  return 0;
}
