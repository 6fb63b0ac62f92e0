// See loaded_config.hpp.
#include "process/loaded_config.hpp"

#include "base/heap.hpp"
#include "base/unique_fd.hpp"
#include "config/parser.hpp"
#include "upstream/authorities.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace dotrelay {
namespace {

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

}  // namespace

Result<LoadedConfig> load_config(const std::string& config_file) {
  Result<std::string> text = read_config_file(config_file);
  if (!text) return text.error();
  Result<Config> config = parse_config(*text, config_file);
  if (!config) return config.error();
  if (const Result<Authorities> authorities = Authorities::load(*config, config_file); !authorities) {
    return authorities.error();
  }
  give_back_heap();  // the parsed bundle was only a test: the supervisor runs on without it
  return LoadedConfig{std::move(*text), std::move(*config)};
}

std::vector<std::string> files_of_config(const std::string& config_file) {
  std::vector<std::string> files = {config_file};
  const Result<std::string> text = read_config_file(config_file);
  if (!text) return files;
  const Result<Config> config = parse_config(*text, config_file);
  if (!config) return files;
  for (const UpstreamConfig& upstream : config->upstreams) {
    if (!upstream.ca_file.empty()) files.push_back(upstream.ca_file);
  }
  return files;
}

}  // namespace dotrelay
