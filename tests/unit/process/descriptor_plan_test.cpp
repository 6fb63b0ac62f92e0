// Limits of open files that suffice, and those that do not.
#include "process/descriptor_plan.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

Config configuration(std::size_t addresses, std::size_t upstreams) {
  Config config;
  config.listen.addresses.resize(addresses);
  config.upstreams.resize(upstreams);
  return config;
}

TEST_CASE("64 addresses: the listeners count, in the supervisor for each worker") {
  const Config config = configuration(64, 1);
  CHECK(supervisor_descriptors(64, 4) > 2 * 64 * 4);
  CHECK(worker_descriptors(3 + 2 * 64, 1) > 2 * 64 + 20);
  CHECK(check_descriptors(config, 1, 400));
  const Status refused = check_descriptors(config, 8, 400);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("(nofile) is 400") != std::string::npos);
  CHECK(refused.error().message.find("needs " + std::to_string(supervisor_descriptors(64, 8))) != std::string::npos);
  CHECK(check_descriptors(config, 8, supervisor_descriptors(64, 8)));
}

TEST_CASE("the usual limit of 1,024 suffices for the default addresses and 64 workers") {
  CHECK(check_descriptors(configuration(2, 3), 64, 1024));
}

TEST_CASE("several workers have mailboxes: two descriptors each in the supervisor, one for each in a worker") {
  CHECK(supervisor_descriptors(1, 2) - supervisor_descriptors(1, 1) == 2 * (2 + 2 * 2) + 2);
  CHECK(supervisor_descriptors(1, 9) - supervisor_descriptors(1, 8) == 2 * (2 + 2) + 2);
}

TEST_CASE("many upstreams: a worker needs more than the supervisor") {
  const Config config = configuration(1, kMaxUpstreams);
  CHECK_FALSE(check_descriptors(config, 1, 300));
  CHECK(check_descriptors(config, 1, worker_descriptors(6, kMaxUpstreams) + kLeastTcpClients));
}

}  // namespace
}  // namespace dotrelay
