// Pins as the configuration writes them: "sha256/" and the base64 (RFC 4648 4) of 32 octets.
#pragma once

#include "config/config.hpp"

#include <optional>
#include <string_view>

namespace dotrelay {

/// Nothing when `text` is no pin.
std::optional<Pin> parse_pin(std::string_view text);

}  // namespace dotrelay
