// See judge.hpp.
#include "config/judge.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// Whether the relay serves the endpoint, whatever machine it is on.
bool serves(const ListenConfig& listen, const Endpoint& endpoint) {
  return std::ranges::any_of(listen.addresses, [&](const Endpoint& own) {
    const bool wildcard = own.address.is_unspecified() && own.address.is_v6 == endpoint.address.is_v6;
    return own == endpoint || (wildcard && own.port == endpoint.port && endpoint.address.is_loopback());
  });
}

}  // namespace

MaybeProblem judge(const Config& config) {
  for (const UpstreamConfig& upstream : config.upstreams) {
    for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
      if (!serves(config.listen, upstream.addresses[i])) continue;
      return Problem{upstream.address_positions[i], "upstream.addresses: " + own_upstream(upstream.addresses[i])};
    }
  }
  return std::nullopt;
}

std::string own_upstream(const Endpoint& endpoint) {
  return endpoint.to_text() + " is the relay itself (listen.addresses)";
}

}  // namespace dotrelay
