// Services that answer whatever comes to them, a DNS answer too. A relay that answers a datagram from one of their
// ports starts an exchange without end (RFC 864, CVE-1999-0103).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace dotrelay {

struct Reflector {
  std::uint16_t port;
  std::string_view service;
};

inline constexpr Reflector kReflectors[] = {
    {0, "none: no answer can be sent there"},
    {7, "echo"},
    {13, "daytime"},
    {17, "quote of the day"},
    {19, "character generator"},
    {37, "time"},
};

/// Whether datagrams from this source port are to be met with silence.
inline bool is_reflector(std::uint16_t port) {
  return port <= kReflectors[std::size(kReflectors) - 1].port &&
         std::ranges::find(kReflectors, port, &Reflector::port) != std::end(kReflectors);
}

}  // namespace dotrelay
