// The [log] table: what is written to standard error.
#include "config/tables.hpp"

#include <algorithm>
#include <array>

namespace dotrelay {
namespace {

KeyProblem take_level(const KeyTarget& target, std::string_view text) {
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
  const auto* const level = std::ranges::find(kLevels, text);
  if (level == kLevels.end()) return "\"" + std::string(text) + "\" is not a log level";
  target.config.log_level = static_cast<LogLevel>(level - kLevels.begin());
  return std::nullopt;
}

constexpr KeyRow kKeys[] = {
    {
        .name = "level",
        .set = SetText{take_level},
        .default_value = R"("info")",
        .allowed = "\"debug\", \"info\", \"warning\" or \"error\"",
        .help = "The least important lines that are written to standard error. No level writes a line for each query.",
    },
};

}  // namespace

TableRow log_table() { return {.name = "log", .keys = kKeys}; }

}  // namespace dotrelay
