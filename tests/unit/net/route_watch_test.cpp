// The watch over addresses, routes and links, in a network namespace whose loopback the test sets up and down.
#include "net/route_watch.hpp"

#include "net/own_network.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <sys/resource.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using test::add_address;
using test::in_own_network;
using test::set_loopback;

void run(Loop& loop, Duration time) {
  Timer stop(loop, [&loop] { loop.stop(); });
  stop.set(Clock::now() + time);
  loop.run();
}

TEST_CASE("no socket, no watch, and the reason") {
  Loop loop;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{0, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const RouteWatch watch(loop, [] {});
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK_FALSE(watch.active());
  CHECK(watch.error() == EMFILE);
}

TEST_CASE("nothing happens, nothing is told") {
  in_own_network([] {
    Loop loop;
    int calls = 0;
    RouteWatch watch(loop, [&] { ++calls; });
    CHECK(watch.active());
    run(loop, milliseconds(150));
    CHECK(calls == 0);
  });
}

TEST_CASE("a burst of events is told once, after it has settled") {
  in_own_network([] {
    Loop loop;
    int calls = 0;
    TimePoint at{};
    RouteWatch watch(loop, [&] {
      ++calls;
      at = Clock::now();
    });
    const TimePoint begin = Clock::now();
    set_loopback(true);
    add_address();
    run(loop, milliseconds(300));
    CHECK(calls == 1);
    CHECK(at - begin >= RouteWatch::kSettleTime);
    run(loop, milliseconds(300));
    set_loopback(false);
    run(loop, milliseconds(200));
    CHECK(calls == 2);
  });
}

TEST_CASE("more events than the kernel keeps are a change; constant change is told now and then") {
  in_own_network([] {
    Loop loop;
    int calls = 0;
    RouteWatch watch(loop, [&] { ++calls; });
    const TimePoint begin = Clock::now();
    while (Clock::now() - begin < milliseconds(1500)) {
      for (int i = 0; i < 20; ++i) {
        set_loopback(true);
        set_loopback(false);
      }
      run(loop, milliseconds(1));
    }
    run(loop, milliseconds(700));
    CHECK(calls >= 3);
    CHECK(calls <= 5);
    run(loop, milliseconds(300));
    const int before = calls;
    run(loop, milliseconds(300));
    CHECK(calls == before);
    set_loopback(true);
    run(loop, milliseconds(700));
    CHECK(calls == before + 1);
  });
}

}  // namespace
}  // namespace dotrelay
