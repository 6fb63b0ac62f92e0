// Whether the network under the relay is what keeps it from all upstreams. Providers that have nothing to do with each
// other do not refuse, reset or present a wrong certificate at the same time; a network that blocks or intercepts DNS
// over TLS makes them look so.
#pragma once

#include "relay/health.hpp"

#include <span>
#include <string>
#include <string_view>

namespace dotrelay {

/// What is wrong with one address of an upstream.
struct AddressTrouble {
  std::string_view provider;  ///< see provider_of()
  Trouble trouble = Trouble::none;
  std::string_view cause;  ///< Health::cause()
};

/// The registrable domain of a TLS name, as far as that can be told without a list of public suffixes: its last two
/// labels. An IP address is its own provider.
std::string_view provider_of(std::string_view tls_name);

/// True when addresses of at least two providers fail in the same way, and no address in another one: all refuse, all
/// reset, all fail in TLS, or all present a certificate that is wrong in the same way. Addresses without a route count
/// for nothing. Silence, and a date that is wrong, have other causes more often.
[[gnu::cold]] bool network_blocks(std::span<const AddressTrouble> troubles);

}  // namespace dotrelay
