// The [listen] table: where clients ask, and which may.
#include "config/setters.hpp"

namespace dotrelay {
namespace {

EndpointList addresses_of(ListenConfig& listen) { return {listen.addresses, listen.address_positions}; }

void begin_addresses(const KeyTarget& target) {
  ListenConfig& listen = target.config.listen;
  addresses_of(listen).clear();
  listen.addresses_are_default = target.position.line == 0;
}

KeyProblem take_address(const KeyTarget& target, std::string_view text) {
  ListenConfig& listen = target.config.listen;
  if (KeyProblem problem = addresses_of(listen).take(target, text, 0)) return problem;
  if (const Endpoint& taken = listen.addresses.back(); taken.address.is_link_local() && taken.scope.empty()) {
    return "\"" + std::string(text) + "\" is link-local and lacks its interface (\"[fe80::1%br-lan]:53\")";
  }
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

constexpr KeyRow kKeys[] = {
    {
        .name = "addresses",
        .set = SetList{begin_addresses, take_address},
        .range = {1, kMaxListenAddresses},
        .default_value = R"(["127.0.0.1:12555", "[::1]:12555"])",
        .allowed = "{} IP addresses, each with a port",
        .help = "The addresses at which clients reach the relay, each over UDP and TCP. 0.0.0.0 and [::] mean every "
                "address of the machine. Write a link-local address with its interface (\"[fe80::1%br-lan]:53\"). An "
                "address that the machine does not have yet is served as soon as the machine has it; until then the "
                "log and check warn. Where the kernel has no IPv6, [::] is skipped with a warning.",
    },
    {
        .name = "allow",
        .set = SetList{[](const KeyTarget& target) { target.config.listen.allow = {}; }, take_allowed},
        .range = {1, 1024},
        .default_value = R"(["loopback", "private", "local"])",
        .allowed = "\"loopback\", \"private\", \"local\" or address ranges such as \"192.0.2.0/24\"",
        .help = "The clients that may ask. Others get no response over UDP and a reset over TCP. \"loopback\" is "
                "127.0.0.0/8, ::1 and this machine's own addresses. \"private\" is RFC 1918, 100.64.0.0/10, "
                "169.254.0.0/16, fc00::/7 and fe80::/10. \"local\" is the networks that are on this machine's links at "
                "the moment. Leave \"local\" out on a machine whose links have hosts that you do not trust.",
    },
    {
        .name = "workers",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          target.config.listen.workers = static_cast<std::uint32_t>(value);
        }},
        .range = {0, kMaxWorkers},
        .default_value = "0",
        .allowed = "{}",
        .help = "The number of worker processes. 0 starts one for each CPU that this process may use (its affinity and "
                "its cgroup's quota).",
    },
    {
        .name = "share_port",
        .set = SetFlag{[](const KeyTarget& target, bool value) { target.config.listen.share_port = value; }},
        .default_value = "false",
        .allowed = "true or false",
        .help = "Allow a second relay of the same user to listen on the same addresses. A rollout that starts the new "
                "relay before it stops the old one needs this. With false, a second start fails with \"address in "
                "use\". The key does not keep out other processes of the same user: give the relay a user of its own.",
    },
};

}  // namespace

TableRow listen_table() { return {.name = "listen", .keys = kKeys}; }

}  // namespace dotrelay
