// See command_line.hpp.
#include "cli/command_line.hpp"

namespace dotrelay {

Result<CommandLine> parse_command_line(std::span<const char* const> arguments) {
  CommandLine line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--config" || argument == "-c") {
      if (++i == arguments.size()) return Error{"--config needs a file"};
      line.config_file = arguments[i];
    } else if (argument.starts_with("--config=")) {
      line.config_file = argument.substr(argument.find('=') + 1);
    } else if (argument == "check" && line.action == CommandLine::Action::relay) {
      line.action = CommandLine::Action::check;
    } else if (argument == "--help" || argument == "-h") {
      line.action = CommandLine::Action::help;
      return line;
    } else if (argument == "--version" || argument == "-V") {
      line.action = CommandLine::Action::version;
      return line;
    } else if (argument == "--print-defaults") {
      line.action = CommandLine::Action::print_defaults;
      return line;
    } else if (argument.starts_with("--worker=")) {
      line.action = CommandLine::Action::worker;
      line.worker = argument;
    } else if (argument.starts_with("--descriptors=")) {
      line.descriptors = argument;
    } else {
      return Error{"unknown argument \"" + std::string(argument) + "\""};
    }
  }
  if (line.config_file.empty()) return Error{"--config needs a file"};
  return line;
}

std::string_view help_text() {
  return "Usage: dotrelay [--config FILE]          relay until SIGTERM or SIGINT\n"
         "       dotrelay check [--config FILE]    check the configuration and exit\n"
         "       dotrelay --print-defaults         print all configuration keys with their defaults\n"
         "       dotrelay --version | --help\n"
         "\n"
         "Answers DNS over UDP and TCP, and asks upstream resolvers over authenticated TLS, in\n"
         "the failover order of the configuration file (default: /etc/dotrelay/dotrelay.toml).\n"
         "Logs to standard error. Try it with: dig @127.0.0.1 -p 12555 example.com\n"
         "\n"
         "Exit status: 0 after a signal to stop, 1 on an error, 2 on wrong usage.\n";
}

}  // namespace dotrelay
