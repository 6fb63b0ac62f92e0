// The [[upstream]] table: a resolver that is asked over TLS, how it is authenticated, and how it is reached.
#include "config/pin.hpp"
#include "config/upstream_keys.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

constexpr std::uint16_t kDotPort = 853;  // RFC 7858 3.1

KeyProblem take_address(const KeyTarget& target, std::string_view text) {
  return take_upstream_address(target, text, kDotPort);
}

/// A host name as a certificate can carry it (RFC 9525 6.3): letters, digits, hyphens, underscores, dots. Its last
/// label is no number: that would be a mistyped IPv4 address.
bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253 || text.starts_with('.') || text.ends_with('.')) return false;
  if (text.find("..") != std::string_view::npos) return false;
  const std::string_view last = text.substr(text.rfind('.') + 1);
  if (std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; })) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

KeyProblem take_tls_name(const KeyTarget& target, std::string_view text) {
  std::string_view name = text;
  if (const Result<IpAddress> address = parse_ip_address(name)) {
    latest_upstream(target).tls_name = address->to_text();
    return std::nullopt;
  }
  if (name.ends_with('.')) name.remove_suffix(1);
  if (!is_host_name(name)) return "\"" + std::string(text) + "\" is neither a host name nor an IP address";
  latest_upstream(target).tls_name = name;
  return std::nullopt;
}

KeyProblem take_ca_file(const KeyTarget& target, std::string_view text) {
  if (text.empty()) return "the path is empty";
  if (text.find('\0') != std::string_view::npos) return "the path has a NUL in it";
  latest_upstream(target).ca_file = text;
  latest_upstream(target).ca_file_position = target.position;
  return std::nullopt;
}

KeyProblem take_pin(const KeyTarget& target, std::string_view text) {
  const std::optional<Pin> pin = parse_pin(text);
  if (!pin) return "\"" + std::string(text) + "\" is not a pin (\"sha256/\" and 44 characters of base64)";
  latest_upstream(target).pins.push_back(*pin);
  return std::nullopt;
}

KeyProblem take_source(const KeyTarget& target, std::string_view text) {
  const Result<IpAddress> address = parse_ip_address(text);
  if (!address) return address.error().message;
  if (address->is_unspecified() || address->is_multicast() || *address == kBroadcast) {
    return "\"" + std::string(text) + "\" is no address of a machine";
  }
  latest_upstream(target).egress.source = *address;
  latest_upstream(target).source_position = target.position;
  return std::nullopt;
}

KeyProblem take_interface(const KeyTarget& target, std::string_view text) {
  const std::optional<Scope> interface = Scope::parse(text);
  if (!interface) return "\"" + std::string(text) + "\" is no name of an interface";
  latest_upstream(target).egress.interface = *interface;
  latest_upstream(target).interface_position = target.position;
  return std::nullopt;
}

void set_mark(const KeyTarget& target, std::int64_t value) {
  latest_upstream(target).egress.mark = static_cast<std::uint32_t>(value);
  latest_upstream(target).mark_position = target.position;
}

MaybeProblem judge_egress(const UpstreamConfig& upstream) {
  const Egress& egress = upstream.egress;
  for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
    const Endpoint& endpoint = upstream.addresses[i];
    const auto problem = [&](const std::string& text) {
      return Problem{upstream.address_positions[i], "upstream.addresses: " + endpoint.to_text() + text};
    };
    if (egress.source && egress.source->is_v6 != endpoint.address.is_v6) {
      return problem(" cannot be reached from the source " + egress.source->to_text() +
                     ": one is IPv4 and the other IPv6; give the address an [[upstream]] of its own");
    }
    if (endpoint.address.is_link_local() && endpoint.scope.empty() && egress.interface.empty()) {
      return problem(" is link-local and lacks its interface (\"fe80::1%eth0\", or the key interface)");
    }
    if (!endpoint.scope.empty() && !egress.interface.empty() && endpoint.scope != egress.interface) {
      return problem(" is on another interface than " + egress.interface.name());
    }
  }
  if (egress.source && egress.source->is_link_local() && egress.interface.empty()) {
    return Problem{upstream.source_position, "upstream.source: a link-local address needs the key interface, too"};
  }
  return std::nullopt;
}

MaybeProblem judge_latest(const Config& config) {
  if (MaybeProblem problem = judge_egress(config.upstreams.back())) return problem;
  return judge_place(config, "upstream");
}

constexpr KeyRow kKeys[] = {
    {
        .name = "name",
        .set = SetText{take_upstream_name},
        .range = {1, 64},
        .required = true,
        .allowed = "{} printable ASCII characters without spaces, different for each upstream",
        .help = "The name of this upstream in log lines and error texts.",
    },
    {
        .name = "addresses",
        .set = SetList{clear_upstream_addresses, take_address},
        .range = {1, kMaxUpstreamAddresses},
        .required = true,
        .allowed = "{} IP addresses, each with or without a port",
        .help = "The addresses at which the resolver serves DNS over TLS, tried in this order. The port is 853 unless "
                "written (\"127.0.0.1:8853\", \"[::1]:8853\"). Write a link-local address with its interface "
                "(\"fe80::1%eth0\").",
    },
    {
        .name = "tls_name",
        .set = SetText{take_tls_name},
        .required = true,
        .allowed = "a host name or an IP address",
        .help = "The name that the resolver's certificate must have (subjectAltName). A host name is also sent as SNI.",
    },
    {
        .name = "ca_file",
        .set = SetText{take_ca_file},
        .allowed = "the path of a PEM file",
        .help = "The certification authorities to trust for this upstream, instead of the system's.",
    },
    {
        .name = "pins",
        .set = SetList{[](const KeyTarget& target) { latest_upstream(target).pins.clear(); }, take_pin},
        .range = {1, 16},
        .allowed = "{} times \"sha256/\" and the base64 of a public key's SHA-256",
        .help = "Public keys (RFC 7858 4.2). The certificate, or another one of its chain, must have one of them. With "
                "pins and without ca_file the pin alone authenticates the server; with both, both must hold.",
    },
    {
        .name = "refused_is_final",
        .set = SetFlag{[](const KeyTarget& target, bool value) { latest_upstream(target).refused_is_final = value; }},
        .allowed = "true or false",
        .help = "true: REFUSED from this upstream is final, and no other upstream is asked. Set it for a filtering "
                "resolver that blocks names with REFUSED and without an Extended DNS Error. Without this key: false.",
    },
    {
        .name = "zone_only",
        .set = SetFlag{[](const KeyTarget& target, bool value) {
          latest_upstream(target).zone_only = value;
          latest_upstream(target).zone_only_position = target.position;
        }},
        .allowed = "true or false",
        .help = "true: this upstream gets the queries of the [[zone]] tables that name it, and no others. At least one "
                "upstream must be without it. Without this key: false.",
    },
    {
        .name = "source",
        .set = SetText{take_source},
        .allowed = "an IP address of this machine, of the same family as all addresses of the upstream",
        .help = "The source address of the connections to this upstream. While the machine does not have this address, "
                "the upstream is not reached.",
    },
    {
        .name = "interface",
        .set = SetText{take_interface},
        .allowed = "the name of a network interface",
        .help = "The only interface through which this upstream is reached (SO_BINDTODEVICE). Before Linux 5.7 this "
                "needs CAP_NET_RAW.",
    },
    {
        .name = "mark",
        .set = SetNumber{set_mark},
        .range = {1, UINT32_MAX},
        .allowed = "{}, also in hexadecimal (0x10)",
        .help = "The mark of the packets to this upstream (SO_MARK), for the packet filter and policy routing. It "
                "needs CAP_NET_ADMIN or, since Linux 5.17, CAP_NET_RAW.",
    },
};

}  // namespace

TableRow upstream_table() {
  return {
      .name = "upstream",
      .keys = kKeys,
      .repeated = kMaxUpstreams,
      .required = true,
      .help = "One table for each upstream. Their order is the failover order.",
      .begin = [](Config& config) { config.upstreams.emplace_back(); },
      .judge = judge_latest,
  };
}

}  // namespace dotrelay
