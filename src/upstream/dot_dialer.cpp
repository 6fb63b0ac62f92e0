// See dot_dialer.hpp.
#include "upstream/dot_dialer.hpp"

#include "net/sockets.hpp"
#include "upstream/dot_connection.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

DotDialer::DotDialer(const Config& config, const Authorities& authorities, Loop& loop, Counters& counters,
                     const Tickets& tickets)
    : config_(config), loop_(loop), counters_(counters) {
  assert(tickets.pools.size() == config.address_count());
  std::size_t number = 0;
  for (const UpstreamConfig& upstream : config.upstreams) {
    Target& target = targets_.emplace_back();
    target.tls = std::make_unique<TlsClientContext>(TlsClientSettings{
        .server_name = upstream.tls_name, .authorities = authorities.of(upstream), .pins = upstream.pins});
    for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
      target.tickets.emplace_back(tickets.pools[number++], tickets.worker, *target.tls);
    }
  }
}

std::unique_ptr<Connection> DotDialer::dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                            std::uint16_t segment_limit) {
  assert(events_ != nullptr);
  Target& target = targets_[upstream];
  return std::make_unique<DotConnection>(
      DotConnection::Environment{loop_, *events_, counters_, target.tickets[address], upstream}, handle,
      DotConnection::Way{config_.upstreams[upstream].addresses[address], config_.upstreams[upstream].egress,
                         segment_limit},
      *target.tls);
}

// FNV-1a of the source address: ways that differ in their gateway alone read as the same, as for open connections.
std::uint32_t DotDialer::way_to(std::size_t upstream, std::size_t address) {
  const UpstreamConfig& config = config_.upstreams[upstream];
  const std::optional<IpAddress> source = source_towards(config.addresses[address], config.egress);
  if (!source) return 1;
  std::uint32_t hash = 2166136261U;
  for (const std::uint8_t octet : source->octets) hash = (hash ^ octet) * 16777619U;
  return std::max(hash, 2U);
}

}  // namespace dotrelay
