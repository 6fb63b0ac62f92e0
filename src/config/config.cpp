// See config.hpp.
#include "config/config.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

bool AllowList::contains(const IpAddress& address) const {
  return std::ranges::any_of(ranges, [&](const AddressRange& allowed) { return allowed.contains(address); });
}

std::size_t Config::upstream_number(std::string_view name) const {
  const auto upstream = std::ranges::find(upstreams, name, &UpstreamConfig::name);
  assert(upstream != upstreams.end());
  return static_cast<std::size_t>(upstream - upstreams.begin());
}

}  // namespace dotrelay
