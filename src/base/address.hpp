// IP addresses, endpoints and address ranges as values: parsing, printing, comparing. No sockets.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dotrelay {

/// An IPv4 or IPv6 address. IPv4 is kept in the first four octets.
struct IpAddress {
  bool is_v6 = false;
  std::array<std::uint8_t, 16> octets{};

  [[nodiscard]] Bytes bytes() const { return Bytes(octets).first(is_v6 ? 16 : 4); }
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_loopback() const;    ///< 127.0.0.0/8, ::1
  [[nodiscard]] bool is_multicast() const;   ///< 224.0.0.0/4, ff00::/8
  [[nodiscard]] bool is_link_local() const;  ///< fe80::/10; never IPv4, which needs no scope
  /// Not routed on the Internet: loopback, RFC 1918, 100.64.0.0/10 (RFC 6598), fc00::/7 (RFC 4193), fe80::/10.
  [[nodiscard]] bool is_private() const;
  [[nodiscard]] std::string to_text() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

/// The network that an address belongs to, as a number: the first `ipv4_bits` or `ipv6_bits` bits, at most 56, and the
/// family. Never 0.
inline std::uint64_t network_number(const IpAddress& address, int ipv4_bits, int ipv6_bits) {
  const std::uint64_t octets = load_word(address.octets.data(), sizeof(std::uint64_t));
  const std::uint64_t number = std::endian::native == std::endian::little ? __builtin_bswap64(octets) : octets;
  const int bits = address.is_v6 ? ipv6_bits : ipv4_bits;
  return (number & ~std::uint64_t{0} << (64 - bits)) | (address.is_v6 ? 6U : 4U);
}

/// Parses an IP literal; no brackets, no scope, no name. An IPv4-mapped address (RFC 4291 2.5.5.2) is the IPv4 one.
Result<IpAddress> parse_ip_address(std::string_view text);

/// The interface on which a link-local address is meant ("fe80::1%br-lan", RFC 4007 11), by name or number. It is
/// looked up at each use, for interfaces come and go. A plain array: endpoints are made for each datagram.
class Scope {
 public:
  /// IFNAMSIZ with the NUL.
  static constexpr std::size_t kMaxName = 15;

  Scope() = default;
  /// Nothing when it can be no interface's name: its length, "/", ":", "%", or an octet that is no printable ASCII.
  static std::optional<Scope> parse(std::string_view name);

  [[nodiscard]] bool empty() const { return name_[0] == 0; }
  [[nodiscard]] std::string name() const { return name_.data(); }

  friend bool operator==(const Scope&, const Scope&) = default;

 private:
  std::array<char, kMaxName + 1> name_{};
};

/// An address with a port in host order.
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  Scope scope = {};

  /// "127.0.0.1:853", "[::1]:853", "[fe80::1%br-lan]:853".
  [[nodiscard]] std::string to_text() const;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Parses "ADDRESS", "ADDRESS:PORT", "[ADDRESS6]:PORT" or a bare IPv6 address, which may have a scope. Without a port,
/// `default_port` is used; 0 there means that a port must be written.
Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port);

/// An address range ("10.0.0.0/8"). An IPv4 range never matches an IPv6 address.
struct AddressRange {
  IpAddress network;
  std::uint8_t prefix_length = 0;

  [[nodiscard]] bool contains(const IpAddress& address) const;

  friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

/// The range of that prefix length that `address` is in.
AddressRange network_of(const IpAddress& address, std::uint8_t prefix_length);

/// Parses CIDR notation or a single address. Bits behind the prefix must be zero. IPv4-mapped ranges are IPv4 ranges.
Result<AddressRange> parse_address_range(std::string_view text);

}  // namespace dotrelay
