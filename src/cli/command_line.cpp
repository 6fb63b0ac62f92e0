// See command_line.hpp.
#include "cli/command_line.hpp"

#include <charconv>

namespace dotrelay {
namespace {

Error unknown(std::string_view argument) { return Error{"unknown argument \"" + std::string(argument) + "\""}; }

/// The number behind the equals sign. False when there is none.
bool read_number(std::string_view argument, int& number) {
  const std::string_view text = argument.substr(argument.find('=') + 1);
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc{} && end == text.data() + text.size() && number >= 0;
}

/// Options that the relay gives to itself. False when it is none of them, or its value is no number.
bool read_own_option(std::string_view argument, CommandLine& line) {
  if (argument.starts_with("--handover=")) return read_number(argument, line.takeover);
  if (argument.starts_with("--answer=")) return read_number(argument, line.answer);
  if (argument.starts_with("--resume=")) return read_number(argument, line.resume);
  if (argument.starts_with("--token=")) {
    line.token = argument.substr(argument.find('=') + 1);
  } else if (argument.starts_with("--worker=")) {
    line.action = CommandLine::Action::worker;
    line.worker = argument;
  } else if (argument.starts_with("--descriptors=")) {
    line.descriptors = argument;
  } else {
    return false;
  }
  return true;
}

}  // namespace

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
    } else if (argument == "--watch") {
      line.watch = true;
    } else if (!read_own_option(argument, line)) {
      return unknown(argument);
    }
  }
  if (line.config_file.empty()) return Error{"--config needs a file"};
  if (line.watch && line.action == CommandLine::Action::check) return Error{"check does not --watch"};
  return line;
}

std::string_view help_text() {
  return "Usage: dotrelay [--config FILE] [--watch]  relay until SIGTERM or SIGINT\n"
         "       dotrelay check [--config FILE]      check the configuration and exit\n"
         "       dotrelay --print-defaults           print all configuration keys with their defaults\n"
         "       dotrelay --version | --help\n"
         "\n"
         "Answers DNS over UDP and TCP. Sends the queries to upstream resolvers over authenticated\n"
         "TLS, in the failover order of the configuration file (default: /etc/dotrelay/dotrelay.toml).\n"
         "SIGHUP reloads the file. With --watch the relay also reloads when the file, or a CA file\n"
         "that it names, changes. SIGUSR2 replaces the program by the one that is now at its path.\n"
         "Neither loses a query, and a bad file or program changes nothing. SIGUSR1 logs the\n"
         "counters. The log goes to standard error. Try it with: dig @127.0.0.1 -p 12555 example.com\n"
         "\n"
         "Exit status: 0 after a signal to stop, 1 on an error, 2 on wrong usage.\n";
}

}  // namespace dotrelay
