// The [[local_upstream]] table: a resolver of the own network that zones are asked of in plain text, on purpose.
#include "config/upstream_keys.hpp"

namespace dotrelay {
namespace {

KeyProblem take_address(const KeyTarget& target, std::string_view text) {
  if (KeyProblem problem = take_upstream_address(target, text, kPlainPort)) return problem;
  const IpAddress& address = latest_upstream(target).addresses.back().address;
  if (!address.is_private()) {
    return "\"" + std::string(text) +
           "\" is not a private address, and the relay sends nothing there in plain text; make it an [[upstream]]";
  }
  return std::nullopt;
}

MaybeProblem judge_latest(const Config& config) {
  const UpstreamConfig& latest = config.upstreams.back();
  for (std::size_t i = 0; i < latest.addresses.size(); ++i) {
    const Endpoint& endpoint = latest.addresses[i];
    if (!endpoint.address.is_link_local() || !endpoint.scope.empty()) continue;
    return Problem{latest.address_positions[i], "local_upstream.addresses: " + endpoint.to_text() +
                                                    " is link-local and lacks its interface (\"fe80::1%eth0\")"};
  }
  return judge_place(config, "local_upstream");
}

constexpr KeyRow kKeys[] = {
    {
        .name = "name",
        .set = SetText{take_upstream_name},
        .range = {1, 64},
        .required = true,
        .allowed = "{} printable ASCII characters without spaces, different for each upstream",
        .help = "The name of this upstream in [[zone]] tables, log lines and error texts.",
    },
    {
        .name = "addresses",
        .set = SetList{clear_upstream_addresses, take_address},
        .range = {1, kMaxUpstreamAddresses},
        .required = true,
        .allowed = "{} private IP addresses, each with or without a port",
        .help = "The addresses at which the resolver serves DNS over TCP, tried in this order. The port is 53 unless "
                "written. Only loopback, RFC 1918, 100.64.0.0/10, fc00::/7 and fe80::/10; write a link-local address "
                "with its interface (\"fe80::1%eth0\").",
    },
};

}  // namespace

TableRow local_upstream_table() {
  return {
      .name = "local_upstream",
      .keys = kKeys,
      .repeated = kMaxUpstreams,
      .help =
          "A resolver of your own network that the relay asks in plain text (DNS over TCP, RFC 7766), on purpose: "
          "a router, or the resolver of a VPN or a cluster. It gets the queries of the [[zone]] tables that name "
          "it, and no others. When it fails, clients get SERVFAIL; no other upstream stands in for it.",
      .begin =
          [](Config& config) {
            UpstreamConfig& upstream = config.upstreams.emplace_back();
            upstream.transport = Transport::plain;
            upstream.zone_only = true;
          },
      .judge = judge_latest,
  };
}

}  // namespace dotrelay
