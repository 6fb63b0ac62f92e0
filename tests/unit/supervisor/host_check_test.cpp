// A configuration judged by the machine, as far as every machine is alike.
#include "supervisor/host_check.hpp"

#include "config/parser.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

/// The warnings about these keys; the upstream is somewhere else.
std::vector<std::string> warnings_of(const std::string& listen, const std::string& upstream = "192.0.2.1") {
  const std::string text = "[listen]\naddresses = [" + listen +
                           "]\n[[upstream]]\nname = \"one\"\ntls_name = \"a.test\"\n" + "addresses = [\"" + upstream +
                           "\"]\n";
  const Result<Config> config = parse_config(text, "f.toml");
  if (!config) FAIL(config.error().message);
  const Result<HostVerdict> verdict = judge_by_host(*config, "f.toml");
  if (!verdict) FAIL(verdict.error().message);
  return verdict->warnings;
}

TEST_CASE("what this machine has is no matter") { CHECK(warnings_of("\"127.0.0.1:12555\"").empty()); }

TEST_CASE("an address that this machine does not have yet, and one that waits for its interface, are told with place") {
  CHECK(warnings_of("\"127.0.0.1:12555\", \"203.0.113.77:12555\"") ==
        std::vector<std::string>{
            "f.toml:2:33: listen.addresses: 203.0.113.77:12555 is not an address of this machine yet; "
            "it is served once it is"});
  CHECK(warnings_of("\"[fe80::1%none-such]:12555\"") ==
        std::vector<std::string>{
            "f.toml:2:14: listen.addresses: [fe80::1%none-such]:12555 is not an address of this machine "
            "yet, for there is no interface none-such; it is served once there is"});
  CHECK(warnings_of("\"127.0.0.1:12555\"", "fe80::1%none-such") ==
        std::vector<std::string>{
            "f.toml:6:14: upstream.addresses: [fe80::1%none-such]:853 cannot be reached before there is "
            "an interface none-such"});
}

}  // namespace
}  // namespace dotrelay
