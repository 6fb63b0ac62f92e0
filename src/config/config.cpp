// See config.hpp.
#include "config/config.hpp"

#include <algorithm>

namespace dotrelay {

bool AllowList::contains(const IpAddress& address) const {
  return std::ranges::any_of(ranges, [&](const AddressRange& allowed) { return allowed.contains(address); });
}

}  // namespace dotrelay
