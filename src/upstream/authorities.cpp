// See authorities.hpp.
#include "upstream/authorities.hpp"

#include "config/parser.hpp"

namespace dotrelay {
namespace {

bool needs_none(const UpstreamConfig& upstream) {
  const bool pins_alone = upstream.ca_file.empty() && !upstream.pins.empty();
  return pins_alone || upstream.transport == Transport::plain;
}

}  // namespace

Result<Authorities> Authorities::load(const Config& config, std::string_view config_file) {
  Authorities authorities;
  authorities.system_path_ = find_system_ca_bundle();
  for (const UpstreamConfig& upstream : config.upstreams) {
    if (needs_none(upstream)) continue;
    const std::string& path = upstream.ca_file.empty() ? authorities.system_path_ : upstream.ca_file;
    if (path.empty()) {
      return Error{position_prefix(config_file, {}) + "upstream \"" + upstream.name +
                   "\": this system has no CA bundle; install ca-certificates, or set ca_file or pins"};
    }
    if (authorities.by_path_.contains(path)) continue;
    Result<std::unique_ptr<CaBundle>> bundle = CaBundle::load(path);
    if (!bundle) {
      return Error{position_prefix(config_file, upstream.ca_file_position) +
                   "upstream.ca_file: " + bundle.error().message};
    }
    authorities.by_path_[path] = std::move(*bundle);
  }
  return authorities;
}

const CaBundle* Authorities::of(const UpstreamConfig& upstream) const {
  if (needs_none(upstream)) return nullptr;
  return by_path_.at(upstream.ca_file.empty() ? system_path_ : upstream.ca_file).get();
}

std::vector<std::string> Authorities::warnings() const {
  std::vector<std::string> warnings;
  for (const auto& [path, bundle] : by_path_) {
    warnings.insert(warnings.end(), bundle->left_out().begin(), bundle->left_out().end());
  }
  return warnings;
}

}  // namespace dotrelay
