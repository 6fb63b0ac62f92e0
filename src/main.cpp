// dotrelay: plain DNS in, DNS over TLS out. Everything is elsewhere; ARCHITECTURE.md says where.
#include "base/printable.hpp"
#include "base/standard_descriptors.hpp"
#include "cli/command_line.hpp"
#include "cli/commands.hpp"
#include "config/defaults.hpp"
#include "process/inheritance.hpp"
#include "worker/run_worker.hpp"

#include <csignal>
#include <cstdio>

namespace {

int usage_error(const std::string& message) {
  std::fprintf(stderr, "dotrelay: %s; try dotrelay --help\n", dotrelay::printable(message).c_str());
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  using namespace dotrelay;
  if (!fill_standard_descriptors()) return 1;
  // Neither a closed pipe nor a terminal that stops background output may stop the relay.
  for (const int number : {SIGPIPE, SIGTTOU}) std::signal(number, SIG_IGN);
  const Result<CommandLine> line =
      parse_command_line({arguments + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0)});
  if (!line) return usage_error(line.error().message);
  if (line->action == CommandLine::Action::relay || line->action == CommandLine::Action::worker) own_standard_error();
  switch (line->action) {
    case CommandLine::Action::help:
      return print(help_text());
    case CommandLine::Action::version:
      return print_version();
    case CommandLine::Action::print_defaults:
      return print(defaults_as_toml());
    case CommandLine::Action::check:
      return check_configuration(*line);
    case CommandLine::Action::worker: {
      const auto inheritance = Inheritance::from_arguments(line->worker, line->descriptors);
      if (!inheritance) return usage_error("--worker is for the supervisor only");
      return run_worker(*inheritance, line->config_file);
    }
    case CommandLine::Action::relay:
      return relay(*line);
  }
  return 2;
}
