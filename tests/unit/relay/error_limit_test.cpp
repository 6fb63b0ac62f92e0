// How many error answers a network gets over UDP.
#include "relay/error_limit.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

IpAddress address(std::string_view text) { return *parse_ip_address(text); }

int taken(ErrorLimit& limit, std::string_view source, TimePoint now) {
  int count = 0;
  while (limit.take(address(source), now)) ++count;
  return count;
}

TEST_CASE("a burst of 1,000, then 100 a second, for a /24 or a /56") {
  ErrorLimit limit({1, 2});
  const TimePoint start{std::chrono::hours(1)};
  CHECK(taken(limit, "192.0.2.1", start) == 1000);
  CHECK(taken(limit, "192.0.2.255", start) == 0);
  CHECK(taken(limit, "192.0.3.1", start) == 1000);
  CHECK(taken(limit, "192.0.2.1", start + milliseconds(9)) == 0);
  CHECK(taken(limit, "192.0.2.7", start + milliseconds(10)) == 1);
  CHECK(taken(limit, "192.0.2.1", start + seconds(1)) == 99);
  CHECK(taken(limit, "192.0.2.1", start + std::chrono::hours(1)) == 1000);
  CHECK(taken(limit, "2001:db8:0:1100::1", start) == 1000);
  CHECK(taken(limit, "2001:db8:0:11ff::2", start) == 0);
  CHECK(taken(limit, "2001:db8:0:1200::1", start) == 1000);
}

TEST_CASE("a clock that has just begun") {
  ErrorLimit limit({1, 2});
  CHECK(taken(limit, "192.0.2.1", TimePoint(milliseconds(50))) <= 1000);
}

}  // namespace
}  // namespace dotrelay
