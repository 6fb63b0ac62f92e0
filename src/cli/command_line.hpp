// The command line as a value.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dotrelay {

inline constexpr std::string_view kDefaultConfigFile = "/etc/dotrelay/dotrelay.toml";

struct CommandLine {
  enum class Action : std::uint8_t { relay, check, help, version, print_defaults, worker };
  Action action = Action::relay;
  std::string config_file{kDefaultConfigFile};
  bool watch = false;  ///< reload when the files change

  // The supervisor's own options.
  int takeover = 0;   ///< of check: the version of UpgradeState that is to be taken over; 0: none
  int answer = -1;    ///< of check: the descriptor for takeover_answer(); -1: an earlier version asks, which wants none
  std::string token;  ///< of check: what that repeats
  int resume = -1;    ///< of relay: the descriptor of an UpgradeState
  std::string worker;  ///< see Inheritance
  std::string descriptors;
};

/// `arguments` without the program's name. The error is one of usage.
Result<CommandLine> parse_command_line(std::span<const char* const> arguments);

std::string_view help_text();

}  // namespace dotrelay
