// See address.hpp.
#include "base/address.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <optional>

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

bool bit(const IpAddress& address, std::size_t index) {
  return ((address.octets[index / 8] >> (7 - index % 8)) & 1) != 0;
}

}  // namespace

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](std::uint8_t octet) { return octet == 0; });
}

std::string IpAddress::to_text() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v6 ? AF_INET6 : AF_INET, octets.data(), text, sizeof text);
  return text;
}

Result<IpAddress> parse_ip_address(std::string_view text) {
  IpAddress address;
  const std::string terminated(text);
  address.is_v6 = text.find(':') != std::string_view::npos;
  if (terminated.find('\0') != std::string::npos ||
      inet_pton(address.is_v6 ? AF_INET6 : AF_INET, terminated.c_str(), address.octets.data()) != 1) {
    return bad(text, "an IP address");
  }
  return address;
}

std::string Endpoint::to_text() const {
  const std::string host = address.is_v6 ? "[" + address.to_text() + "]" : address.to_text();
  return host + ":" + std::to_string(port);
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

  const Result<IpAddress> address = parse_ip_address(host);
  if (!address) return bad(text, wanted);
  if (!port_text) {
    if (default_port == 0) return bad(text, wanted);
    return Endpoint{*address, default_port};
  }
  const auto port = parse_number(*port_text, 65535);
  if (!port || *port == 0) return bad(text, wanted);
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
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
  const Result<IpAddress> address = parse_ip_address(text.substr(0, slash));
  if (!address) return bad(text, wanted);
  const std::uint32_t width = address->is_v6 ? 128 : 32;
  if (slash == std::string_view::npos) return AddressRange{*address, static_cast<std::uint8_t>(width)};
  const auto length = parse_number(text.substr(slash + 1), width);
  if (!length) return bad(text, wanted);
  for (std::size_t i = *length; i < width; ++i) {
    if (bit(*address, i)) return Error{"\"" + std::string(text) + "\" has bits set behind its prefix length"};
  }
  return AddressRange{*address, static_cast<std::uint8_t>(*length)};
}

}  // namespace dotrelay
