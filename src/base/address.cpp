// See address.hpp.
#include "base/address.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <utility>

namespace dotrelay {
namespace {

Error bad(std::string_view text, std::string_view wanted) {
  return Error{"\"" + std::string(text) + "\" is not " + std::string(wanted)};
}

/// A decimal number of digits only, at most `limit`.
std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t limit) {
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size() || number > limit) return std::nullopt;
  return number;
}

/// ::ffff:0:0/96 in front of an IPv4 address.
constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::uint32_t kMappedBits = 8 * kMappedPrefix.size();

bool is_mapped(const IpAddress& address) {
  return address.is_v6 && equal(address.bytes().first(kMappedPrefix.size()), kMappedPrefix);
}

IpAddress unmapped(const IpAddress& address) {
  IpAddress plain;
  std::ranges::copy(address.bytes().subspan(kMappedPrefix.size()), plain.octets.begin());
  return plain;
}

/// As written: IPv4-mapped stays IPv6.
std::optional<IpAddress> parse_literal(std::string_view text) {
  IpAddress address;
  const std::string terminated(text);
  address.is_v6 = text.find(':') != std::string_view::npos;
  if (terminated.find('\0') != std::string::npos ||
      inet_pton(address.is_v6 ? AF_INET6 : AF_INET, terminated.c_str(), address.octets.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

bool bit(const IpAddress& address, std::size_t index) {
  return ((address.octets[index / 8] >> (7 - index % 8)) & 1) != 0;
}

}  // namespace

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](std::uint8_t octet) { return octet == 0; });
}

bool IpAddress::is_loopback() const {
  if (!is_v6) return octets[0] == 127;
  IpAddress loopback{.is_v6 = true, .octets = {}};
  loopback.octets.back() = 1;
  return *this == loopback;
}

bool IpAddress::is_multicast() const { return is_v6 ? octets[0] == 0xff : octets[0] >> 4 == 0xe; }

bool IpAddress::is_link_local() const { return is_v6 && octets[0] == 0xfe && octets[1] >> 6 == 2; }

bool IpAddress::is_private() const {
  if (is_loopback() || is_link_local()) return true;
  if (is_v6) return octets[0] >> 1 == 0xfc >> 1;
  const auto [first, second] = std::pair(octets[0], octets[1]);
  return first == 10 || (first == 172 && second >> 4 == 1) || (first == 192 && second == 168) ||
         (first == 100 && second >> 6 == 1);
}

std::string IpAddress::to_text() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v6 ? AF_INET6 : AF_INET, octets.data(), text, sizeof text);
  return text;
}

Result<IpAddress> parse_ip_address(std::string_view text) {
  const std::optional<IpAddress> address = parse_literal(text);
  if (!address) return bad(text, "an IP address");
  return is_mapped(*address) ? unmapped(*address) : *address;
}

std::optional<Scope> Scope::parse(std::string_view name) {
  const auto fits = [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':' && c != '%'; };
  if (name.empty() || name.size() > kMaxName || name == "." || name == ".." || !std::ranges::all_of(name, fits)) {
    return std::nullopt;
  }
  Scope scope;
  std::ranges::copy(name, scope.name_.begin());
  return scope;
}

std::string Endpoint::to_text() const {
  const std::string end = ":" + std::to_string(port);
  if (!address.is_v6) return address.to_text() + end;
  return "[" + address.to_text() + (scope.empty() ? "" : "%" + scope.name()) + "]" + end;
}

Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  const std::string_view wanted = default_port == 0
                                      ? "an IP address with a port (\"127.0.0.1:12555\", \"[::1]:12555\")"
                                      : "an IP address with an optional port (\"1.1.1.1\", \"[::1]:853\")";
  std::string_view host = text;
  std::optional<std::string_view> port_text;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad(text, wanted);
    host = text.substr(1, close - 1);
    if (host.find(':') == std::string_view::npos) return bad(text, wanted);
    const std::string_view rest = text.substr(close + 1);
    if (rest.starts_with(':')) {
      port_text = rest.substr(1);
    } else if (!rest.empty()) {
      return bad(text, wanted);
    }
  } else if (const std::size_t colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    host = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  }

  std::optional<Scope> scope = Scope{};
  if (const std::size_t percent = host.find('%'); percent != std::string_view::npos) {
    scope = Scope::parse(host.substr(percent + 1));
    host = host.substr(0, percent);
  }
  const Result<IpAddress> address = parse_ip_address(host);
  if (!address || !scope || (!scope->empty() && !address->is_v6)) return bad(text, wanted);
  if (!port_text) {
    if (default_port == 0) return bad(text, wanted);
    return Endpoint{*address, default_port, *scope};
  }
  const auto port = parse_number(*port_text, 65535);
  if (!port || *port == 0) return bad(text, wanted);
  return Endpoint{*address, static_cast<std::uint16_t>(*port), *scope};
}

bool AddressRange::contains(const IpAddress& address) const {
  if (address.is_v6 != network.is_v6) return false;
  const std::size_t whole = prefix_length / 8;
  if (!equal(Bytes(address.octets).first(whole), Bytes(network.octets).first(whole))) return false;
  const int rest = prefix_length % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return (address.octets[whole] & mask) == (network.octets[whole] & mask);
}

AddressRange network_of(const IpAddress& address, std::uint8_t prefix_length) {
  AddressRange range{address, prefix_length};
  std::size_t bits_left = prefix_length;
  for (std::uint8_t& octet : range.network.octets) {
    const std::size_t kept = std::min<std::size_t>(bits_left, 8);
    octet = static_cast<std::uint8_t>(octet & 0xff00U >> kept);
    bits_left -= kept;
  }
  return range;
}

Result<AddressRange> parse_address_range(std::string_view text) {
  const std::string_view wanted = "an address range (\"10.0.0.0/8\", \"fd00::/8\")";
  const std::size_t slash = text.find('/');
  const std::optional<IpAddress> address = parse_literal(text.substr(0, slash));
  if (!address) return bad(text, wanted);
  const std::uint32_t width = address->is_v6 ? 128 : 32;
  const auto length = slash == std::string_view::npos ? width : parse_number(text.substr(slash + 1), width);
  if (!length) return bad(text, wanted);
  for (std::size_t i = *length; i < width; ++i) {
    if (bit(*address, i)) return Error{"\"" + std::string(text) + "\" has bits set behind its prefix length"};
  }
  // The mapped prefix ends in set bits, so here a mapped range is not wider than it.
  if (is_mapped(*address)) return AddressRange{unmapped(*address), static_cast<std::uint8_t>(*length - kMappedBits)};
  return AddressRange{*address, static_cast<std::uint8_t>(*length)};
}

}  // namespace dotrelay
