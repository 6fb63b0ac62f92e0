// See judge.hpp.
#include "config/judge.hpp"

#include "config/suggestion.hpp"

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

MaybeProblem judge_addresses(const Config& config) {
  for (const UpstreamConfig& upstream : config.upstreams) {
    for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
      if (!serves(config.listen, upstream.addresses[i])) continue;
      return Problem{upstream.address_positions[i],
                     table_name(upstream) + ".addresses: " + own_upstream(upstream.addresses[i])};
    }
  }
  return std::nullopt;
}

MaybeProblem judge_common_order(const Config& config) {
  if (config.upstreams.empty() || !std::ranges::all_of(config.upstreams, &UpstreamConfig::zone_only))
    return std::nullopt;
  return Problem{config.upstreams.front().zone_only_position,
                 "upstream.zone_only: every upstream has it, so the names that are in no zone have none"};
}

MaybeProblem judge_zones(const Config& config) {
  std::vector<std::string_view> known;
  for (const UpstreamConfig& upstream : config.upstreams) known.push_back(upstream.name);
  for (const ZoneConfig& zone : config.zones) {
    for (const PlacedName& upstream : zone.upstreams) {
      if (std::ranges::find(known, upstream.text) != known.end()) continue;
      return Problem{upstream.position, "zone.upstreams: no upstream is called \"" + upstream.text + "\"" +
                                            suggestion(upstream.text, known)};
    }
  }
  return std::nullopt;
}

/// Plain text never stands in for TLS, nor a public resolver for a local one.
MaybeProblem judge_transports(const Config& config) {
  const auto transport = [&](const PlacedName& name) {
    return config.upstreams[config.upstream_number(name.text)].transport;
  };
  for (const ZoneConfig& zone : config.zones) {
    for (const PlacedName& upstream : zone.upstreams) {
      if (transport(upstream) == transport(zone.upstreams[0])) continue;
      return Problem{upstream.position, "zone.upstreams: \"" + zone.upstreams[0].text + "\" and \"" + upstream.text +
                                            "\" are not both [[upstream]] or both [[local_upstream]]; plain text never "
                                            "stands in for TLS, nor TLS for plain text"};
    }
  }
  return std::nullopt;
}

bool is_in_zone(const Config& config, const UpstreamConfig& upstream) {
  return std::ranges::any_of(config.zones, [&](const ZoneConfig& zone) {
    return std::ranges::find(zone.upstreams, upstream.name, &PlacedName::text) != zone.upstreams.end();
  });
}

}  // namespace

MaybeProblem judge(const Config& config) {
  for (const auto look : {judge_addresses, judge_common_order, judge_zones, judge_transports}) {
    if (MaybeProblem problem = look(config)) return problem;
  }
  return std::nullopt;
}

std::vector<Problem> doubts_about(const Config& config) {
  std::vector<Problem> doubts;
  for (const UpstreamConfig& upstream : config.upstreams) {
    if (!upstream.zone_only || is_in_zone(config, upstream)) continue;
    const bool plain = upstream.transport == Transport::plain;
    doubts.push_back({plain ? upstream.name_position : upstream.zone_only_position,
                      table_name(upstream) + (plain ? ".name" : ".zone_only") + ": no [[zone]] names \"" +
                          upstream.name + "\", so it gets no query"});
  }
  return doubts;
}

std::string table_name(const UpstreamConfig& upstream) {
  return upstream.transport == Transport::plain ? "local_upstream" : "upstream";
}

std::string own_upstream(const Endpoint& endpoint) {
  return endpoint.to_text() + " is the relay itself (listen.addresses)";
}

}  // namespace dotrelay
