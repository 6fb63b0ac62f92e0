// See loaded_config.hpp.
#include "supervisor/loaded_config.hpp"

#include "base/heap.hpp"
#include "base/read_file.hpp"
#include "config/parser.hpp"
#include "upstream/authorities.hpp"

namespace dotrelay {
namespace {

Result<std::string> read_config_file(const std::string& path) {
  Result<std::string> text = read_file(path, kMaxConfigBytes);
  if (!text) return Error{path + ": cannot read the configuration: " + text.error().message};
  return text;
}

}  // namespace

Result<LoadedConfig> load_config(const std::string& config_file) {
  Result<std::string> text = read_config_file(config_file);
  if (!text) return text.error();
  Result<Config> config = parse_config(*text, config_file);
  if (!config) return config.error();
  std::vector<std::string> warnings;
  {
    const Result<Authorities> authorities = Authorities::load(*config, config_file);
    if (!authorities) return authorities.error();
    warnings = authorities->warnings();
  }
  Result<HostVerdict> verdict = judge_by_host(*config, config_file);
  if (!verdict) return verdict.error();
  give_back_heap();  // the parsed bundle was only a test: the supervisor runs on without it
  return LoadedConfig{std::move(*text), std::move(*config), std::move(warnings), std::move(*verdict)};
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
