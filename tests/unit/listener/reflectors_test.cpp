// Ports that are never answered.
#include "listener/reflectors.hpp"

#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

TEST_CASE("echo, daytime, quote of the day, character generator, time and no port at all") {
  std::set<std::uint16_t> found;
  for (std::uint32_t port = 0; port < 65536; ++port) {
    if (is_reflector(static_cast<std::uint16_t>(port))) found.insert(static_cast<std::uint16_t>(port));
  }
  CHECK(found == std::set<std::uint16_t>{0, 7, 13, 17, 19, 37});
}

}  // namespace
}  // namespace dotrelay
