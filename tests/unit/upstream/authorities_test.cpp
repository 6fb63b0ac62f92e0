// Which CA bundle belongs to which upstream, and what is said of a file that cannot be used.
#include "upstream/authorities.hpp"

#include "tls/tls_pair.hpp"

#include <doctest/doctest.h>

namespace dotrelay::test {
namespace {

UpstreamConfig upstream(const std::string& ca_file, bool pinned = false) {
  UpstreamConfig config;
  config.name = "one";
  config.ca_file = ca_file;
  config.ca_file_position = {7, 11};
  if (pinned) config.pins.emplace_back();
  return config;
}

TEST_CASE("upstreams that name the same file share its bundle; a pin alone needs none") {
  need_tls_library();
  const std::string file = Certificates::get().path("test-ca.pem");
  Config config;
  config.upstreams = {upstream(file), upstream(file, true), upstream("", true)};
  const Authorities authorities = value_of(Authorities::load(config, "relay.toml"));
  const CaBundle* const bundle = authorities.of(config.upstreams[0]);
  REQUIRE(bundle != nullptr);
  CHECK(authorities.of(config.upstreams[1]) == bundle);
  CHECK(authorities.of(config.upstreams[2]) == nullptr);
  CHECK(authorities.warnings().empty());
}

TEST_CASE("a file that cannot be read: the error says where it is named") {
  need_tls_library();
  Config config;
  config.upstreams = {upstream("/nonexistent/ca.pem")};
  const Result<Authorities> authorities = Authorities::load(config, "relay.toml");
  REQUIRE_FALSE(authorities);
  CHECK(authorities.error().message.starts_with("relay.toml:7:11: upstream.ca_file: "));
}

}  // namespace
}  // namespace dotrelay::test
