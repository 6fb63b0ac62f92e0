// See upstream_dialer.hpp.
#include "upstream/upstream_dialer.hpp"

#include "net/sockets.hpp"
#include "upstream/dot_connection.hpp"
#include "upstream/plain_connection.hpp"

#include <algorithm>
#include <cassert>

namespace dotrelay {

UpstreamDialer::UpstreamDialer(const Config& config, const Authorities& authorities, Loop& loop, Counters& counters,
                               const Tickets& tickets)
    : config_(config), loop_(loop), counters_(counters) {
  assert(tickets.pools.size() == config.address_count());
  for (std::size_t i = 0; i < config.upstreams.size(); ++i) {
    const UpstreamConfig& upstream = config.upstreams[i];
    Target& target = targets_.emplace_back();
    if (upstream.transport == Transport::plain) continue;
    target.tls = std::make_unique<TlsClientContext>(TlsClientSettings{
        .server_name = upstream.tls_name, .authorities = authorities.of(upstream), .pins = upstream.pins});
    for (std::size_t address = 0; address < upstream.addresses.size(); ++address) {
      target.tickets.emplace_back(tickets.pools[config.address_number(i, address)], tickets.worker, *target.tls);
    }
  }
}

std::unique_ptr<Connection> UpstreamDialer::dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                                 std::uint16_t segment_limit) {
  assert(events_ != nullptr);
  const UpstreamConfig& config = config_.upstreams[upstream];
  const FramedConnection::Wiring wiring{loop_, *events_, handle};
  const FramedConnection::Way way{config.addresses[address], config.egress, segment_limit};
  if (config.transport == Transport::plain) return std::make_unique<PlainConnection>(wiring, way);
  Target& target = targets_[upstream];
  return std::make_unique<DotConnection>(
      wiring, way, DotConnection::Environment{*target.tls, target.tickets[address], counters_, upstream});
}

// FNV-1a of the source address: ways that differ in their gateway alone read as the same, as for open connections.
std::uint32_t UpstreamDialer::way_to(std::size_t upstream, std::size_t address) {
  const UpstreamConfig& config = config_.upstreams[upstream];
  const std::optional<IpAddress> source = source_towards(config.addresses[address], config.egress);
  if (!source) return 1;
  std::uint32_t hash = 2166136261U;
  for (const std::uint8_t octet : source->octets) hash = (hash ^ octet) * 16777619U;
  return std::max(hash, 2U);
}

}  // namespace dotrelay
