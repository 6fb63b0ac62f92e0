// The number of a zone (zones.hpp), the same in all workers of one configuration.
#pragma once

#include <cstdint>

namespace dotrelay {

using ZoneNumber = std::uint8_t;

/// Of the names that are in no zone of the configuration.
inline constexpr ZoneNumber kCommonZone = 0;

}  // namespace dotrelay
