// See commands.hpp.
#include "cli/commands.hpp"

#include "config/parser.hpp"
#include "net/unique_fd.hpp"
#include "process/supervisor.hpp"
#include "upstream/authorities.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>

namespace dotrelay {
namespace {

struct LoadedConfig {
  std::string text;
  Config config;
};

Result<std::string> read_config_file(const std::string& path) {
  const auto cannot = [&](const std::string& why) { return Error{path + ": cannot read the configuration: " + why}; };
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return cannot(std::strerror(errno));
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t size = read(fd.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return cannot(std::strerror(errno));
    if (size == 0) return text;
    text.append(buffer, static_cast<std::size_t>(size));
    if (text.size() > kMaxConfigBytes) return cannot("larger than 1 MiB");
  }
}

/// The configuration with everything it names checked, so that no worker starts with what cannot work.
Result<LoadedConfig> load(const std::string& config_file) {
  Result<std::string> text = read_config_file(config_file);
  if (!text) return text.error();
  Result<Config> config = parse_config(*text, config_file);
  if (!config) return config.error();
  if (const Result<Authorities> authorities = Authorities::load(*config, config_file); !authorities) {
    return authorities.error();
  }
  malloc_trim(0);  // the parsed bundle was only a test: the supervisor runs on without it
  return LoadedConfig{std::move(*text), std::move(*config)};
}

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

int check_configuration(const std::string& config_file) {
  const Result<LoadedConfig> loaded = load(config_file);
  if (!loaded) return refuse(loaded.error());
  std::printf("%s: ok, %s, %s\n", config_file.c_str(),
              counted(loaded->config.listen.addresses.size(), "listen address").c_str(),
              counted(loaded->config.upstreams.size(), "upstream").c_str());
  return 0;
}

int relay(const std::string& config_file) {
  const Result<LoadedConfig> loaded = load(config_file);
  if (!loaded) return refuse(loaded.error());
  return run_supervisor(loaded->config, loaded->text, config_file);
}

}  // namespace dotrelay
