// Which of this machine's ways a connection takes, where the routing table alone is not to decide.
#pragma once

#include "base/address.hpp"

#include <cstdint>
#include <optional>

namespace dotrelay {

struct Egress {
  std::optional<IpAddress> source;  ///< of the same family as every address that is connected to
  Scope interface;                  ///< empty: any
  std::uint32_t mark = 0;           ///< for the packet filter and policy routing (SO_MARK); 0: none

  friend bool operator==(const Egress&, const Egress&) = default;
};

}  // namespace dotrelay
