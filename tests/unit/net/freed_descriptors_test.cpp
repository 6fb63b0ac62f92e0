// Who hears that a descriptor has become free, and how often.
#include "net/freed_descriptors.hpp"

#include "net/handles.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

struct Waiter final : FlushTarget {
  int woken = 0;
  void flush() noexcept override { ++woken; }
};

void turn(Loop& loop) {
  Timer stop(loop, [&loop] { loop.stop(); });
  stop.set(Clock::now());
  loop.run();
}

TEST_CASE("all that wait hear of the next descriptor, once, at the end of the turn") {
  Loop loop;
  FreedDescriptors freed(loop);
  Waiter one;
  Waiter other;
  freed.await(one);
  freed.await(other);
  turn(loop);
  CHECK(one.woken == 0);
  freed.one_freed();
  freed.one_freed();
  CHECK(one.woken == 0);
  turn(loop);
  freed.one_freed();
  turn(loop);
  CHECK(one.woken == 1);
  CHECK(other.woken == 1);
}

TEST_CASE("who waits no more, or has gone, hears nothing") {
  Loop loop;
  FreedDescriptors freed(loop);
  Waiter patient;
  {
    Waiter gone;
    freed.await(gone);
    freed.await(patient);
    freed.forget(gone);
  }
  freed.forget(patient);
  freed.one_freed();
  turn(loop);
  CHECK(patient.woken == 0);
}

}  // namespace
}  // namespace dotrelay
