// See blocked_network.hpp.
#include "relay/blocked_network.hpp"

#include "base/address.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// The cause without what differs between upstreams: the name that a certificate was expected to be for, the words of a
/// TLS library.
std::string_view manner_of(const AddressTrouble& address) {
  if (address.trouble == Trouble::tls) return "TLS";
  return address.cause.substr(0, address.cause.find(" is not for "));
}

/// What is said of a certificate that is another's.
constexpr std::string_view kForeign[] = {"unknown CA", " is not for ", "no pin matches"};

bool is_telling(const AddressTrouble& address) {
  switch (address.trouble) {
    case Trouble::unreachable:
    case Trouble::tls:
      return true;
    case Trouble::authentication:
      // A wrong date alone is more likely this machine's.
      return std::ranges::any_of(
          kForeign, [&](std::string_view words) { return address.cause.find(words) != std::string_view::npos; });
    default:
      return false;
  }
}

}  // namespace

std::string_view provider_of(std::string_view tls_name) {
  if (parse_ip_address(std::string(tls_name))) return tls_name;
  if (tls_name.ends_with('.')) tls_name.remove_suffix(1);
  const std::size_t last = tls_name.rfind('.');
  if (last == std::string_view::npos || last == 0) return tls_name;
  const std::size_t second = tls_name.rfind('.', last - 1);
  return second == std::string_view::npos ? tls_name : tls_name.substr(second + 1);
}

bool network_blocks(std::span<const AddressTrouble> troubles) {
  const AddressTrouble* first = nullptr;
  bool several = false;
  for (const AddressTrouble& address : troubles) {
    if (address.trouble == Trouble::no_route) continue;
    if (!is_telling(address)) return false;
    if (first == nullptr) first = &address;
    if (address.trouble != first->trouble || manner_of(address) != manner_of(*first)) return false;
    several = several || address.provider != first->provider;
  }
  return several;
}

}  // namespace dotrelay
