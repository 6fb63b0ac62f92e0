// See keys.hpp. The setters check one value each; what needs several keys at once is checked in parser.cpp.
#include "config/keys.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kDotPort = 853;  // RFC 7858 3.1
constexpr IpAddress kBroadcast{.is_v6 = false, .octets = {255, 255, 255, 255}};
constexpr std::uint32_t kMaxTcpClients = 1'000'000;
/// A supervisor and one worker with the system's CA bundle take about 4 MiB when idle.
constexpr std::uint64_t kMinMemory = std::uint64_t{6} << 20;
constexpr std::uint64_t kMaxMemory = std::uint64_t{64} << 30;

/// Appends an address at which something can be served or reached at all; what it needs of this machine is not judged.
KeyProblem take_endpoint(std::vector<Endpoint>& endpoints, std::vector<SourcePosition>& positions,
                         const KeyTarget& target, std::string_view text, std::uint16_t default_port) {
  const Result<Endpoint> endpoint = parse_endpoint(text, default_port);
  if (!endpoint) return endpoint.error().message;
  const std::string quoted = "\"" + std::string(text) + "\"";
  const IpAddress& address = endpoint->address;
  if (address.is_multicast()) return quoted + " is a multicast address";
  if (address == kBroadcast) return quoted + " is a broadcast address";
  if (!endpoint->scope.empty() && !address.is_link_local()) {
    return quoted + " has an interface behind \"%\"; only link-local addresses (fe80::/10) have one";
  }
  if (std::ranges::find(endpoints, *endpoint) != endpoints.end()) return quoted + " is listed twice";
  endpoints.push_back(*endpoint);
  positions.push_back(target.position);
  return std::nullopt;
}

KeyProblem take_listen_address(const KeyTarget& target, std::string_view text) {
  ListenConfig& listen = target.config.listen;
  if (KeyProblem problem = take_endpoint(listen.addresses, listen.address_positions, target, text, 0)) return problem;
  if (const Endpoint& taken = listen.addresses.back(); taken.address.is_link_local() && taken.scope.empty()) {
    return "\"" + std::string(text) + "\" is link-local and lacks its interface (\"[fe80::1%br-lan]:53\")";
  }
  return std::nullopt;
}

KeyProblem take_upstream_address(const KeyTarget& target, std::string_view text) {
  UpstreamConfig& upstream = *target.upstream;
  if (KeyProblem problem = take_endpoint(upstream.addresses, upstream.address_positions, target, text, kDotPort)) {
    return problem;
  }
  if (upstream.addresses.back().address.is_unspecified()) {
    return "\"" + std::string(text) + "\" is no address of a server";
  }
  return std::nullopt;
}

KeyProblem take_source(const KeyTarget& target, std::string_view text) {
  const Result<IpAddress> address = parse_ip_address(text);
  if (!address) return address.error().message;
  if (address->is_unspecified() || address->is_multicast() || *address == kBroadcast) {
    return "\"" + std::string(text) + "\" is no address of a machine";
  }
  target.upstream->egress.source = *address;
  target.upstream->source_position = target.position;
  return std::nullopt;
}

KeyProblem take_interface(const KeyTarget& target, std::string_view text) {
  const std::optional<Scope> interface = Scope::parse(text);
  if (!interface) return "\"" + std::string(text) + "\" is no name of an interface";
  target.upstream->egress.interface = *interface;
  target.upstream->interface_position = target.position;
  return std::nullopt;
}

AddressRange range(std::string_view text) { return *parse_address_range(text); }

KeyProblem take_allowed(const KeyTarget& target, std::string_view text) {
  AllowList& allow = target.config.listen.allow;
  std::vector<AddressRange>& ranges = allow.ranges;
  if (text == "local") {
    allow.link_networks = true;
  } else if (text == "loopback") {
    allow.own_addresses = true;
    ranges.insert(ranges.end(), {range("127.0.0.0/8"), range("::1")});
  } else if (text == "private") {
    for (const auto* block : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
                              "fc00::/7", "fe80::/10"}) {
      ranges.push_back(range(block));
    }
  } else {
    const Result<AddressRange> parsed = parse_address_range(text);
    if (!parsed) return parsed.error().message;
    ranges.push_back(*parsed);
  }
  return std::nullopt;
}

/// "250ms", "4s", "2m", "1h". In milliseconds, since any count of hours fits those.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::uint32_t count = 0;
  const auto [unit_begin, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failure != std::errc{}) return std::nullopt;
  const std::string_view unit(unit_begin, static_cast<std::size_t>(text.data() + text.size() - unit_begin));
  if (unit == "ms") return count * 1ms;
  if (unit == "s") return count * 1s;
  if (unit == "m") return count * 1min;
  if (unit == "h") return count * 1h;
  return std::nullopt;
}

KeyProblem take_duration(Duration& duration, std::string_view text, std::chrono::milliseconds least,
                         std::chrono::milliseconds most) {
  const std::optional<std::chrono::milliseconds> parsed = parse_duration(text);
  if (!parsed) return "\"" + std::string(text) + "\" is not a duration (\"250ms\", \"4s\", \"1m\", \"1h\")";
  if (*parsed < least || *parsed > most) return "\"" + std::string(text) + "\" is out of range";
  duration = *parsed;
  return std::nullopt;
}

/// "10%": whole percents as a fraction.
KeyProblem take_share(double& share, std::string_view text) {
  std::uint32_t percent = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), percent);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (failure != std::errc{} || (unit != "%" && text != "0")) {
    return "\"" + std::string(text) + "\" is not a percentage (\"10%\")";
  }
  if (percent > 100) return "\"" + std::string(text) + "\" is out of range";
  share = percent / 100.0;
  return std::nullopt;
}

/// "8MiB". Nothing for what is no size.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint32_t count = 0;
  const auto [unit_begin, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failure != std::errc{}) return std::nullopt;
  const std::string_view unit(unit_begin, static_cast<std::size_t>(text.data() + text.size() - unit_begin));
  if (unit == "KiB") return std::uint64_t{count} << 10;
  if (unit == "MiB") return std::uint64_t{count} << 20;
  if (unit == "GiB") return std::uint64_t{count} << 30;
  return std::nullopt;
}

KeyProblem take_memory(const KeyTarget& target, std::string_view text) {
  std::uint64_t& memory = target.config.limits.memory;
  memory = 0;
  if (text == "auto") return std::nullopt;
  const std::optional<std::uint64_t> size = parse_size(text);
  if (!size) return "\"" + std::string(text) + "\" is not a size (\"512KiB\", \"8MiB\", \"1GiB\")";
  if (*size < kMinMemory || *size > kMaxMemory) return "\"" + std::string(text) + "\" is out of range";
  memory = *size;
  return std::nullopt;
}

KeyProblem take_number(std::uint32_t& number, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most) return std::to_string(value) + " is out of range";
  number = static_cast<std::uint32_t>(value);
  return std::nullopt;
}

KeyProblem take_upstream_name(const KeyTarget& target, std::string_view text) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  if (text.empty() || text.size() > 64 || !printable) return "\"" + std::string(text) + "\" is not such a name";
  target.upstream->name = text;
  return std::nullopt;
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
    target.upstream->tls_name = address->to_text();
    return std::nullopt;
  }
  if (name.ends_with('.')) name.remove_suffix(1);
  if (!is_host_name(name)) return "\"" + std::string(text) + "\" is neither a host name nor an IP address";
  target.upstream->tls_name = name;
  return std::nullopt;
}

KeyProblem take_ca_file(const KeyTarget& target, std::string_view text) {
  if (text.empty()) return "the path is empty";
  if (text.find('\0') != std::string_view::npos) return "the path has a NUL in it";
  target.upstream->ca_file = text;
  target.upstream->ca_file_position = target.position;
  return std::nullopt;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

KeyProblem take_pin(const KeyTarget& target, std::string_view text) {
  const KeyProblem problem = "\"" + std::string(text) + "\" is not a pin (\"sha256/\" and 44 characters of base64)";
  constexpr std::string_view kPrefix = "sha256/";
  // 32 octets are 43 characters and one "=".
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 44 || !text.ends_with('=')) return problem;
  Pin pin{};
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::size_t size = 0;
  for (const char c : text.substr(kPrefix.size(), 43)) {
    const int value = base64_value(c);
    if (value < 0) return problem;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      pin[size++] = static_cast<std::uint8_t>(bits >> bit_count);
    }
  }
  if ((bits & 3) != 0) return problem;  // the two bits that are left over must be zero
  target.upstream->pins.push_back(pin);
  return std::nullopt;
}

KeyProblem take_log_level(const KeyTarget& target, std::string_view text) {
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
  const auto* const level = std::ranges::find(kLevels, text);
  if (level == kLevels.end()) return "\"" + std::string(text) + "\" is not a log level";
  target.config.log_level = static_cast<LogLevel>(level - kLevels.begin());
  return std::nullopt;
}

const KeyRow kKeys[] = {
    {
        .table = "listen",
        .name = "addresses",
        .set = SetList{[](const KeyTarget& target) {
                         target.config.listen.addresses.clear();
                         target.config.listen.address_positions.clear();
                       },
                       take_listen_address, 1, kMaxListenAddresses},
        .default_value = R"(["127.0.0.1:12555", "[::1]:12555"])",
        .allowed = "1 to 64 IP addresses, each with a port",
        .help =
            "Where clients ask, each over UDP and TCP. 0.0.0.0 and [::] mean every address of the machine. A "
            "link-local "
            "address is written with its interface (\"[fe80::1%br-lan]:53\"). An address that the machine does not "
            "have "
            "yet is served once it has it; until then the log and check warn. [::] is skipped with a warning where the "
            "kernel has no IPv6.",
    },
    {
        .table = "listen",
        .name = "allow",
        .set = SetList{[](const KeyTarget& target) { target.config.listen.allow = {}; }, take_allowed, 1, 1024},
        .default_value = R"(["loopback", "private", "local"])",
        .allowed = "\"loopback\", \"private\", \"local\" or address ranges such as \"192.0.2.0/24\"",
        .help = "Who may ask. Others get no answer over UDP and a reset over TCP. \"loopback\" is 127.0.0.0/8, ::1 and "
                "this machine's own addresses; \"private\" is RFC 1918, 100.64.0.0/10, 169.254.0.0/16, fc00::/7 and "
                "fe80::/10; \"local\" is the networks on this machine's links as they are now. On a machine whose "
                "neighbours are strangers, leave \"local\" out.",
    },
    {
        .table = "listen",
        .name = "workers",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          return take_number(target.config.listen.workers, value, 0, kMaxWorkers);
        }},
        .default_value = "0",
        .allowed = "0 to 256",
        .help =
            "Worker processes. 0 starts one per CPU that this process may use (its affinity and its cgroup's quota).",
    },
    {
        .table = "listen",
        .name = "share_port",
        .set = SetFlag{[](const KeyTarget& target, bool value) -> KeyProblem {
          target.config.listen.share_port = value;
          return std::nullopt;
        }},
        .default_value = "false",
        .allowed = "true or false",
        .help =
            "Allow a second relay of the same user to listen on the same addresses, as a rollout that starts the new "
            "one before it stops the old one needs. Otherwise a second start fails with \"address in use\". It does "
            "not keep "
            "other processes of the same user away: give the relay a user of its own.",
    },
    {
        .table = "upstream",
        .name = "name",
        .set = SetText{take_upstream_name},
        .required = true,
        .allowed = "1 to 64 printable ASCII characters without spaces, different for each upstream",
        .help = "What log lines and error texts call this upstream.",
    },
    {
        .table = "upstream",
        .name = "addresses",
        .set = SetList{[](const KeyTarget& target) {
                         target.upstream->addresses.clear();
                         target.upstream->address_positions.clear();
                       },
                       take_upstream_address, 1, kMaxUpstreamAddresses},
        .required = true,
        .allowed = "1 to 16 IP addresses, each with or without a port",
        .help =
            "Where the resolver answers DNS over TLS, port 853 unless written (\"127.0.0.1:8853\", \"[::1]:8853\"). "
            "Tried in this order. A link-local address is written with its interface (\"fe80::1%eth0\").",
    },
    {
        .table = "upstream",
        .name = "tls_name",
        .set = SetText{take_tls_name},
        .required = true,
        .allowed = "a host name or an IP address",
        .help =
            "The name that the resolver's certificate must carry (subjectAltName). A host name is also sent as SNI.",
    },
    {
        .table = "upstream",
        .name = "ca_file",
        .set = SetText{take_ca_file},
        .allowed = "the path of a PEM file",
        .help = "The certification authorities to trust for this upstream instead of the system's.",
    },
    {
        .table = "upstream",
        .name = "pins",
        .set = SetList{[](const KeyTarget& target) { target.upstream->pins.clear(); }, take_pin, 1, 16},
        .allowed = "1 to 16 times \"sha256/\" and the base64 of a public key's SHA-256",
        .help = "Public keys (RFC 7858 4.2), of which the certificate or one of its chain must have one. With pins and "
                "without ca_file the pin alone authenticates; with both, both must hold.",
    },
    {
        .table = "upstream",
        .name = "refused_is_final",
        .set = SetFlag{[](const KeyTarget& target, bool value) -> KeyProblem {
          target.upstream->refused_is_final = value;
          return std::nullopt;
        }},
        .allowed = "true or false",
        .help = "true: REFUSED from this upstream is the answer, and no other upstream is asked. For a filtering "
                "resolver that blocks names with REFUSED and no Extended DNS Error. Otherwise false.",
    },
    {
        .table = "upstream",
        .name = "source",
        .set = SetText{take_source},
        .allowed = "an IP address of this machine, of the same family as all addresses of the upstream",
        .help = "The source address of the connections to this upstream. While the machine does not have it the "
                "upstream is "
                "not reached.",
    },
    {
        .table = "upstream",
        .name = "interface",
        .set = SetText{take_interface},
        .allowed = "the name of a network interface",
        .help =
            "The interface by which this upstream is reached, and by no other (SO_BINDTODEVICE). Before Linux 5.7 it "
            "needs CAP_NET_RAW.",
    },
    {
        .table = "upstream",
        .name = "mark",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          target.upstream->mark_position = target.position;
          return take_number(target.upstream->egress.mark, value, 1, UINT32_MAX);
        }},
        .allowed = "1 to 4294967295, also in hexadecimal (0x10)",
        .help = "The mark of the packets to this upstream, for the packet filter and policy routing (SO_MARK). Needs "
                "CAP_NET_ADMIN or, since Linux 5.17, CAP_NET_RAW.",
    },
    {
        .table = "relay",
        .name = "deadline",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target.config.relay.deadline, text, 100ms, 60s);
        }},
        .default_value = R"("4s")",
        .allowed = "a duration from 100ms to 60s",
        .help =
            "How long a client waits at most: all attempts at all upstreams together. Then it gets SERVFAIL with the "
            "cause. The default is below the 5 s after which most clients give up.",
    },
    {
        .table = "relay",
        .name = "hedge",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_share(target.config.relay.hedge, text);
        }},
        .default_value = R"("10%")",
        .allowed = "\"0%\" to \"100%\"",
        .help =
            "A query that waits longer than its upstream usually takes is asked at the next upstream, too, and the "
            "first "
            "answer counts. This is the largest share of queries that may be asked twice so; 0% never does it before a "
            "second (or a quarter of the deadline) has passed. Queries whose connection died are asked again in any "
            "case.",
    },
    {
        .table = "relay",
        .name = "slow",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target.config.relay.slow, text, 50ms, 60s);
        }},
        .default_value = R"("400ms")",
        .allowed = "a duration from 50ms to 60s",
        .help =
            "An upstream that has not answered within this time when another one has is slow. When most of its latest "
            "answers were, it is passed over like one that fails, and tried now and then with a copy of a query.",
    },
    {
        .table = "limits",
        .name = "tcp_clients",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          return take_number(target.config.limits.tcp_clients, value, 1, kMaxTcpClients);
        }},
        .default_value = "10000",
        .allowed = "1 to 1000000",
        .help =
            "Client connections of the whole relay, shared out to the workers. One more closes the one that has been "
            "idle longest.",
    },
    {
        .table = "limits",
        .name = "tcp_idle",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target.config.limits.tcp_idle, text, 100ms, 1h);
        }},
        .default_value = R"("30s")",
        .allowed = "a duration from 100ms to 1h",
        .help = "How long a client connection that is owed no answer stays open, and how long a half-sent query or an "
                "answer that the client does not read may take.",
    },
    {
        .table = "limits",
        .name = "memory",
        .set = SetText{take_memory},
        .default_value = R"("auto")",
        .allowed = "\"auto\" or a size from 6MiB to 64GiB",
        .help =
            "What all processes of the relay together may take, the kernel's buffers for TCP clients included. When it "
            "is used up, the client that owes most is closed, and queries get SERVFAIL. \"auto\": an eighth of the "
            "machine's memory or half of what the cgroup allows, at most 64 MiB for each worker. When workers = 0, no "
            "more workers start than the memory suffices for.",
    },
    {
        .table = "log",
        .name = "level",
        .set = SetText{take_log_level},
        .default_value = R"("info")",
        .allowed = "\"debug\", \"info\", \"warning\" or \"error\"",
        .help = "The least important lines to write to standard error. No level below debug writes a line per query.",
    },
};

}  // namespace

bool AllowList::contains(const IpAddress& address) const {
  return std::ranges::any_of(ranges, [&](const AddressRange& allowed) { return allowed.contains(address); });
}

std::span<const KeyRow> all_keys() { return kKeys; }

std::string_view type_name(const KeyRow& row) {
  constexpr std::array<std::string_view, 4> kNames = {"a string", "an integer", "true or false", "a list of strings"};
  return kNames[row.set.index()];
}

}  // namespace dotrelay
