// Listen addresses that come: one that only has to be told, and one whose interface needs sockets.
#include "supervisor/address_watch.hpp"

#include "base/recorded_log.hpp"
#include "net/own_network.hpp"

#include <cstring>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

struct Fixture {
  test::RecordedLog file{LogLevel::debug, "supervisor"};
  Loop loop;
  int needed = 0;
  AddressWatch watch{loop, file, [this] { ++needed; }};

  void begin(const char* address) {
    GenerationParts parts;
    parts.config.listen.addresses = {*parse_endpoint(address, 53)};
    watch.watch(parts);
  }

  template <class Condition>
  bool until(Condition condition) {
    const TimePoint limit = Clock::now() + std::chrono::seconds(30);
    Timer tick(loop, [&] {
      if (condition() || Clock::now() > limit) loop.stop();
    });
    tick.repeat(std::chrono::milliseconds(5));
    loop.run();
    return condition();
  }
};

TEST_CASE("an address that comes is told; its sockets are bound already") {
  test::in_own_network([] {
    Fixture fixture;
    test::set_loopback(true);  // first: without any local address the kernel lets every address be bound
    fixture.begin("192.0.2.1:53");
    const TimePoint one_look_later = Clock::now() + AddressWatch::kInterval * 3 / 2;
    CHECK(fixture.until([&] { return Clock::now() > one_look_later; }));
    CHECK(fixture.file.text() == "");
    test::add_address();
    CHECK(fixture.until(
        [&] { return fixture.file.has("info    supervisor: 192.0.2.1:53 is an address of this machine now\n"); }));
    CHECK(fixture.needed == 0);
  });
}

/// Loopback gets another name, as if an interface of that name had come.
void rename_loopback(const char* name) {
  test::change_loopback(SIOCSIFNAME, [name](ifreq& request) { std::strcpy(request.ifr_newname, name); });
}

TEST_CASE("an interface that comes needs sockets, once") {
  test::in_own_network([] {
    Fixture fixture;
    fixture.begin("[fe80::1%later]:53");
    rename_loopback("later");
    CHECK(fixture.until([&] { return fixture.needed > 0; }));
    const TimePoint next_look = Clock::now() + AddressWatch::kInterval * 3 / 2;
    CHECK(fixture.until([&] { return Clock::now() > next_look; }));
    CHECK(fixture.needed == 1);
  });
}

}  // namespace
}  // namespace dotrelay
