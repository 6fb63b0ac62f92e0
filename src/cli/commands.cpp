// See commands.hpp.
#include "cli/commands.hpp"

#include "base/printable.hpp"
#include "config/zone_texts.hpp"
#include "supervisor/loaded_config.hpp"
#include "supervisor/run_supervisor.hpp"
#include "supervisor/upgrade.hpp"
#include "supervisor/upgrade_state.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace dotrelay {
namespace {

int refuse(const Error& error) {
  std::fprintf(stderr, "%s\n", printable(error.message).c_str());
  return 1;
}

int answer_takeover(const CommandLine& line) {
  const std::string answer = takeover_answer(line.token);
  if (write(line.answer, answer.data(), answer.size()) == static_cast<ssize_t>(answer.size())) return 0;
  return refuse(Error{"cannot answer on descriptor " + std::to_string(line.answer) + ": " + std::strerror(errno)});
}

std::string counted(std::size_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : noun[std::strlen(noun) - 1] == 's' ? "es" : "s");
}

}  // namespace

int print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? 0 : refuse(Error{std::string("dotrelay: cannot write to standard output: ") + std::strerror(errno)});
}

int print_version() { return print("dotrelay " DOTRELAY_VERSION "\n"); }

int check_configuration(const CommandLine& line) {
  if (line.takeover != 0 && line.takeover != UpgradeState::kVersion) {
    return refuse(Error{"this dotrelay cannot take over from the running one; restart it instead"});
  }
  const Result<LoadedConfig> loaded = load_config(line.config_file);
  if (!loaded) return refuse(loaded.error());
  for (const std::string& warning : loaded->warnings) {
    std::fprintf(stderr, "warning: %s\n", printable(warning).c_str());
  }
  if (line.takeover != 0) return line.answer < 0 ? 0 : answer_takeover(line);  // standard output is a log then
  std::vector<std::string> warnings = loaded->verdict.warnings;
  if (!loaded->verdict.refusal.empty()) warnings.push_back(loaded->verdict.refusal);  // another user may start it
  for (const std::string& warning : warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  const Config& config = loaded->config;
  std::string exceptions;
  for (const std::string& line : plain_text_lines(config)) exceptions += line + "\n";
  return print(exceptions + line.config_file + ": ok, " + counted(config.listen.addresses.size(), "listen address") +
               ", " + counted(config.upstreams.size(), "upstream") +
               (config.zones.empty() ? "" : ", " + counted(config.zones.size(), "zone")) + "\n");
}

int relay(const CommandLine& line) {
  SupervisorOptions options;
  options.config_file = line.config_file;
  options.watch = line.watch;
  options.resume = line.resume;
  options.version = DOTRELAY_VERSION;
  return run_supervisor(options);
}

}  // namespace dotrelay
