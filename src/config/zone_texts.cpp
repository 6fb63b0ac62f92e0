// See zone_texts.hpp.
#include "config/zone_texts.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

std::string without_usual_port(const Endpoint& endpoint) {
  const bool usual = endpoint.port == kPlainPort && endpoint.scope.empty();
  return usual ? endpoint.address.to_text() : endpoint.to_text();
}

}  // namespace

std::string joined(std::span<const PlacedName> names) {
  constexpr std::size_t kMost = 8;
  std::string text;
  for (const PlacedName& name : names.first(std::min(names.size(), kMost))) {
    text.append(text.empty() ? "" : ", ").append(name.text);
  }
  return names.size() > kMost ? text + " and " + std::to_string(names.size() - kMost) + " more" : text;
}

std::vector<std::string> plain_text_lines(const Config& config) {
  std::vector<std::string> lines;
  for (const ZoneConfig& zone : config.zones) {
    std::string addresses;
    for (const PlacedName& name : zone.upstreams) {
      const UpstreamConfig& upstream = config.upstreams[config.upstream_number(name.text)];
      if (upstream.transport != Transport::plain) continue;
      for (const Endpoint& endpoint : upstream.addresses) {
        addresses.append(addresses.empty() ? "" : ", ").append(without_usual_port(endpoint));
      }
    }
    if (!addresses.empty()) lines.push_back("plaintext on purpose: " + joined(zone.names) + " -> " + addresses);
  }
  return lines;
}

}  // namespace dotrelay
