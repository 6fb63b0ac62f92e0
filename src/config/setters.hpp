// Setters that several tables share. Each checks one value; what needs several keys is judged when all are read.
#pragma once

#include "config/tables.hpp"

#include <string_view>
#include <vector>

namespace dotrelay {

inline constexpr IpAddress kBroadcast{.is_v6 = false, .octets = {255, 255, 255, 255}};

/// Endpoints of the configuration, with the place of each.
struct EndpointList {
  std::vector<Endpoint>& endpoints;
  std::vector<SourcePosition>& positions;

  void clear() const;
  /// Appends an address at which something can be served or reached at all; what it needs of this machine is not
  /// judged. `default_port` 0: the port must be written.
  [[nodiscard]] KeyProblem take(const KeyTarget& target, std::string_view text, std::uint16_t default_port) const;
};

/// The range of the target's row is one of durations.
KeyProblem take_duration(const KeyTarget& target, std::string_view text, Duration& duration);

}  // namespace dotrelay
