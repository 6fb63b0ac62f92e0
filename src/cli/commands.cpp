// See commands.hpp.
#include "cli/commands.hpp"

#include "process/handover.hpp"
#include "process/loaded_config.hpp"
#include "process/supervisor.hpp"

#include <cstdio>
#include <cstring>

namespace dotrelay {
namespace {

int refuse(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

std::string counted(std::size_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : noun[std::strlen(noun) - 1] == 's' ? "es" : "s");
}

}  // namespace

int print_version() {
  std::puts("dotrelay " DOTRELAY_VERSION);
  return 0;
}

int check_configuration(const CommandLine& line) {
  if (line.handover != 0 && line.handover != Handover::kVersion) {
    return refuse(Error{"this dotrelay cannot take over from the running one; restart it instead"});
  }
  const Result<LoadedConfig> loaded = load_config(line.config_file);
  if (!loaded) return refuse(loaded.error());
  if (line.handover != 0) return 0;  // standard output is a log then
  std::printf("%s: ok, %s, %s\n", line.config_file.c_str(),
              counted(loaded->config.listen.addresses.size(), "listen address").c_str(),
              counted(loaded->config.upstreams.size(), "upstream").c_str());
  return 0;
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
