// See ttl_fields.hpp.
#include "dns/ttl_fields.hpp"

#include <algorithm>

namespace dotrelay::dns {
namespace {

/// Writes what `change` makes of each TTL.
template <class Change>
bool change_each(MutableBytes message, TtlFields fields, Change change) {
  for (const std::uint16_t offset : fields) {
    if (message.size() < kTtlSize || offset > message.size() - kTtlSize) return false;
    std::uint8_t* const field = &message[offset];
    const std::uint32_t ttl = change(meaning_of_ttl(std::uint32_t{load_u16(field)} << 16 | load_u16(field + 2)));
    store_u16(field, static_cast<std::uint16_t>(ttl >> 16));
    store_u16(field + 2, static_cast<std::uint16_t>(ttl));
  }
  return true;
}

}  // namespace

bool age_ttls(MutableBytes message, TtlFields fields, std::uint32_t seconds) {
  return change_each(message, fields, [=](std::uint32_t ttl) { return ttl - std::min(ttl, seconds); });
}

bool bound_ttls(MutableBytes message, TtlFields fields, std::uint32_t limit) {
  return change_each(message, fields, [=](std::uint32_t ttl) { return std::min(ttl, limit); });
}

bool set_ttls(MutableBytes message, TtlFields fields, std::uint32_t ttl) {
  return change_each(message, fields, [=](std::uint32_t) { return ttl; });
}

}  // namespace dotrelay::dns
