// See host_check.hpp.
#include "supervisor/host_check.hpp"

#include "config/judge.hpp"
#include "config/parser.hpp"
#include "net/host_addresses.hpp"
#include "net/sockets.hpp"

#include <algorithm>
#include <cerrno>

namespace dotrelay {
namespace {

/// IPv6 may be missing where every address or the default was meant.
bool may_be_left_out(const ListenConfig& listen, const Endpoint& address) {
  return listen.addresses_are_default || address.address.is_unspecified();
}

/// Collects the warnings; the first error ends it.
class HostCheck {
 public:
  HostCheck(const Config& config, const std::string& file) : config_(config), file_(file) {}

  Result<HostVerdict> run() {
    const ListenConfig& listen = config_.listen;
    for (std::size_t i = 0; i < listen.addresses.size(); ++i) {
      if (Status good = judge_listen(listen.addresses[i], listen.address_positions[i]); !good) return good.error();
    }
    if (std::ranges::all_of(listen.addresses,
                            [](const Endpoint& address) { return presence_of(address) == Presence::no_family; })) {
      return Error{
          at(listen.address_positions.front(), "listen.addresses: all are IPv6, and " + errno_text(EAFNOSUPPORT))};
    }
    for (const UpstreamConfig& upstream : config_.upstreams) {
      judge_egress(upstream);
      for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
        if (Status good = judge_upstream(upstream, i); !good) {
          return good.error();
        }
      }
    }
    for (const Problem& doubt : doubts_about(config_)) warn(doubt.position, doubt.message);
    return std::move(verdict_);
  }

 private:
  [[nodiscard]] std::string at(SourcePosition position, const std::string& text) const {
    return position_prefix(file_, position) + text;
  }

  void warn(SourcePosition position, const std::string& text) { verdict_.warnings.push_back(at(position, text)); }

  Status judge_listen(const Endpoint& address, SourcePosition position) {
    const std::string key = "listen.addresses: " + address.to_text();
    switch (presence_of(address)) {
      case Presence::here:
        break;
      case Presence::not_yet:
        warn(position, key + " is not an address of this machine yet; it is served once it is");
        break;
      case Presence::no_interface:
        warn(position, key + " is not an address of this machine yet, for there is no interface " +
                           address.scope.name() + "; it is served once there is");
        break;
      case Presence::no_family:
        if (!may_be_left_out(config_.listen, address)) {
          return Error{at(position, key + ": " + errno_text(EAFNOSUPPORT))};
        }
        warn(position, key + " is left out: " + errno_text(EAFNOSUPPORT));
        break;
    }
    if (!may_bind_port(address.port)) {
      warn(position, key + ": this user may not bind port " + std::to_string(address.port) +
                         "; it needs CAP_NET_BIND_SERVICE, or the sysctl net.ipv4.ip_unprivileged_port_start = " +
                         std::to_string(address.port));
    }
    return ok();
  }

  Status judge_upstream(const UpstreamConfig& upstream, std::size_t number) {
    const Endpoint& address = upstream.addresses[number];
    const SourcePosition position = upstream.address_positions[number];
    const std::string key = table_name(upstream) + ".addresses: ";
    const bool port_is_served = std::ranges::any_of(config_.listen.addresses, [&](const Endpoint& own) {
      return own.address.is_unspecified() && own.port == address.port && own.address.is_v6 == address.address.is_v6;
    });
    if (port_is_served && is_own_address(address)) return Error{at(position, key + own_upstream(address))};
    if (!address.scope.empty() && interface_index(address.scope) == 0) {
      warn(position,
           key + address.to_text() + " cannot be reached before there is an interface " + address.scope.name());
    }
    return ok();
  }

  /// A trial socket tells.
  void judge_egress(const UpstreamConfig& upstream) {
    const Egress& egress = upstream.egress;
    const UniqueFd fd = open_stream(upstream.addresses.front());
    if (!fd) return;
    if (egress.mark != 0 && set_egress(fd.get(), {.source = {}, .interface = {}, .mark = egress.mark}) == EPERM) {
      refuse(upstream.mark_position,
             "upstream.mark: this process may not mark its packets; it needs CAP_NET_ADMIN or, "
             "since Linux 5.17, CAP_NET_RAW");
    }
    switch (set_egress(fd.get(), {.source = {}, .interface = egress.interface, .mark = 0})) {
      case ENODEV:
        warn(upstream.interface_position, "upstream.interface: " + upstream.name +
                                              " cannot be reached before there is an interface " +
                                              egress.interface.name());
        return;  // a link-local source is looked for on it
      case EPERM:
        refuse(upstream.interface_position,
               "upstream.interface: this process may not choose an interface; before Linux 5.7 it needs CAP_NET_RAW");
        return;
      default:
        break;
    }
    if (set_egress(fd.get(), {.source = egress.source, .interface = {}, .mark = 0}) == EADDRNOTAVAIL) {
      warn(upstream.source_position, "upstream.source: " + egress.source->to_text() +
                                         " is not an address of this machine yet; " + upstream.name +
                                         " cannot be reached before it is");
    }
  }

  void refuse(SourcePosition position, const std::string& text) {
    if (verdict_.refusal.empty()) verdict_.refusal = at(position, text);
  }

  const Config& config_;
  const std::string& file_;
  HostVerdict verdict_;
};

}  // namespace

Result<HostVerdict> judge_by_host(const Config& config, const std::string& file) {
  return HostCheck(config, file).run();
}

std::vector<Endpoint> bindable_addresses(const ListenConfig& listen) {
  std::vector<Endpoint> addresses;
  for (const Endpoint& address : listen.addresses) {
    const Presence presence = presence_of(address);
    const bool left_out =
        presence == Presence::no_interface || (presence == Presence::no_family && may_be_left_out(listen, address));
    if (!left_out) addresses.push_back(address);
  }
  return addresses;
}

}  // namespace dotrelay
