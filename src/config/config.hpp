// The configuration as immutable values: what docs/manual.md describes, after all checks. Made by parse_config().
#pragma once

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/egress.hpp"
#include "base/log.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dotrelay {

/// Where in the file a value stands; line 0 means that it is a default.
struct SourcePosition {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// The source addresses that are served.
struct AllowList {
  std::vector<AddressRange> ranges;
  bool own_addresses = false;  ///< also all addresses of this machine
  bool link_networks = false;  ///< also the networks on this machine's links

  /// Whether one of the ranges does.
  [[nodiscard]] bool contains(const IpAddress& address) const;
};

struct ListenConfig {
  std::vector<Endpoint> addresses;
  std::vector<SourcePosition> address_positions;  ///< one for each address
  /// The file has no `addresses`: one that this host cannot bind is skipped with a warning instead of an error.
  bool addresses_are_default = true;
  AllowList allow;
  std::uint32_t workers = 0;  ///< 0: one per CPU that the process may use
  bool share_port = false;
};

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7858 4.2).
using Pin = std::array<std::uint8_t, 32>;

/// How an upstream is spoken to.
enum class Transport : std::uint8_t {
  tls,    ///< DNS over TLS
  plain,  ///< DNS over TCP without TLS, as a [[local_upstream]]: for zones only, at private addresses only
};

inline constexpr std::uint16_t kPlainPort = 53;  ///< unless another is written (RFC 7766 4)

/// An [[upstream]] or [[local_upstream]] table.
struct UpstreamConfig {
  std::string name;
  SourcePosition name_position;
  std::vector<Endpoint> addresses;
  std::vector<SourcePosition> address_positions;  ///< one for each address
  Transport transport = Transport::tls;
  // What follows is only said of one over TLS, but zone_only, which is true of one in plain text.
  std::string tls_name;  ///< a host name without trailing dot, or an IP literal
  std::string ca_file;   ///< empty: the system's bundle, or with pins none
  SourcePosition ca_file_position;
  std::vector<Pin> pins;
  bool refused_is_final = false;  ///< REFUSED is its answer, not a reason to ask the next upstream
  bool zone_only = false;         ///< asked for the zones that name it and for nothing else
  SourcePosition zone_only_position;
  Egress egress;
  SourcePosition source_position;
  SourcePosition interface_position;
  SourcePosition mark_position;
};

/// A name that the file has, and where.
struct PlacedName {
  std::string text;
  SourcePosition position;
};

/// What the relay itself answers for the names of a zone.
enum class ZoneAnswer : std::uint8_t { nxdomain, nodata, refused };

/// Names, each with all below it, that either these upstreams answer and no others, or the relay itself.
struct ZoneConfig {
  std::vector<PlacedName> names;      ///< lower case, without the final dot; valid domain names, and never the root
  std::vector<PlacedName> upstreams;  ///< in failover order; UpstreamConfig::name of each. Empty: there is an answer
  std::optional<ZoneAnswer> answer;   ///< there is one exactly when there are no upstreams
  SourcePosition answer_position;
};

/// "nxdomain", as in the file.
std::string_view to_text(ZoneAnswer answer);

struct RelayConfig {
  Duration deadline{};
  double hedge = 0;  ///< queries that may be asked a second time because the first answer is late, as a share of all
  Duration slow{};   ///< an upstream that persistently answers later is passed over
};

struct CacheConfig {
  std::uint64_t size = 0;  ///< octets; 0: there is none
  Duration max_ttl{};
  Duration stale{};  ///< zero: none is given
};

struct LimitsConfig {
  std::uint32_t tcp_clients = 0;  ///< of the whole relay
  Duration tcp_idle{};
  std::uint64_t memory = 0;  ///< octets for the whole relay; 0: as the machine allows
};

struct Config {
  ListenConfig listen;
  /// In failover order, those in plain text last. Never empty: at least one is not zone_only.
  std::vector<UpstreamConfig> upstreams;
  std::vector<ZoneConfig> zones;
  RelayConfig relay;
  CacheConfig cache;
  LimitsConfig limits;
  LogLevel log_level = LogLevel::info;

  /// Of the upstream with this name, which there must be.
  [[nodiscard]] std::size_t upstream_number(std::string_view name) const;

  /// The addresses of all upstreams, and the number of one of them when they are counted in the file's order.
  [[nodiscard]] std::size_t address_count() const { return address_number(upstreams.size(), 0); }
  [[nodiscard]] std::size_t address_number(std::size_t upstream, std::size_t address) const {
    for (std::size_t i = 0; i < upstream; ++i) address += upstreams[i].addresses.size();
    return address;
  }
};

/// Most tables and list entries of each kind: a bound for what an upstream mask or a descriptor table must hold.
inline constexpr std::size_t kMaxUpstreams = 16;
inline constexpr std::size_t kMaxUpstreamAddresses = 16;
inline constexpr std::size_t kMaxListenAddresses = 64;
inline constexpr std::uint32_t kMaxWorkers = 256;
inline constexpr std::size_t kMaxZones = 64;
inline constexpr std::size_t kMaxZoneNames = 256;  ///< of one zone

/// Octets of a cache, where there is one.
inline constexpr std::int64_t kMinCacheSize = std::int64_t{64} << 10;
inline constexpr std::int64_t kMaxCacheSize = std::int64_t{1} << 30;

}  // namespace dotrelay
