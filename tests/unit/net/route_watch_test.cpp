// The watch over addresses, routes and links, in a network namespace whose loopback the test sets up and down.
#include "net/route_watch.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <thread>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;

/// Calls `body` on a thread in a network namespace of its own.
template <class Body>
void in_own_network(const Body& body) {
  bool possible = false;
  std::thread([&] {
    possible = unshare(CLONE_NEWNET) == 0;
    if (possible) body();
  }).join();
  if (!possible) MESSAGE("SKIPPED: no network namespaces (needs root)");
}

void set_loopback(bool up) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
  REQUIRE(ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0);
}

void add_address() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  auto& address = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0xc0000201);  // 192.0.2.1
  REQUIRE(ioctl(fd.get(), SIOCSIFADDR, &request) == 0);
}

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
