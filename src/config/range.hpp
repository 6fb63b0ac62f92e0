// The range of a configuration key as data: its least and its most in one unit. Also how values of a unit are written,
// so that one table serves the parser and the texts.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace dotrelay {

enum class Unit : std::uint8_t {
  count,         ///< an integer: a number of anything, also of entries or characters
  milliseconds,  ///< "250ms", "4s", "1m", "1h", "1d", or "0"
  octets,        ///< "512KiB", "8MiB", "1GiB", or "0"
  percent,       ///< "10%", or "0"
};

/// Both ends belong to it.
struct Range {
  std::int64_t least = 0;
  std::int64_t most = 0;
  Unit unit = Unit::count;

  static constexpr Range durations(std::chrono::milliseconds least, std::chrono::milliseconds most) {
    return {least.count(), most.count(), Unit::milliseconds};
  }

  [[nodiscard]] constexpr bool contains(std::int64_t value) const { return value >= least && value <= most; }
};

/// "0 to 256", "100ms to 60s", "6MiB to 64GiB", "\"0%\" to \"100%\"": for error texts and the manual.
std::string to_text(const Range& range);

/// The number of units that `text` writes; an error when it writes none, or one outside the range. Not for counts,
/// which TOML itself reads.
Result<std::int64_t> parse_in_range(std::string_view text, const Range& range);

}  // namespace dotrelay
