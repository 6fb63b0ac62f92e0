// The certification authorities of each upstream: files read once, bundles shared by those that name the same file.
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"
#include "tls/tls_client_context.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dotrelay {

class Authorities {
 public:
  /// Loads what the upstreams need. The error names `config_file` and the position of the ca_file key.
  static Result<Authorities> load(const Config& config, std::string_view config_file);

  /// The bundle of the upstream; nullptr when its pins alone authenticate it.
  [[nodiscard]] const CaBundle* of(const UpstreamConfig& upstream) const;

  /// One line for each certificate that was left out of a bundle.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  std::string system_path_;
  std::map<std::string, std::unique_ptr<CaBundle>> by_path_;
};

}  // namespace dotrelay
