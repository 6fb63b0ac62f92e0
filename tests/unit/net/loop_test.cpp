// The loop's turns, timers and pollers, and their owners' right to go at any moment.
#include "net/loop.hpp"
#include "base/unique_fd.hpp"
#include "net/handles.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <sys/socket.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;

struct Flusher final : FlushTarget {
  std::function<void()> act;
  int flushes = 0;
  void flush() noexcept override {
    ++flushes;
    if (act) act();
  }
};

struct Listener final : PollListener {
  std::function<void(bool, bool)> act;
  void on_poll(bool readable, bool writable) noexcept override { act(readable, writable); }
};

/// Runs the loop until `time` has passed.
void run(Loop& loop, Duration time) {
  Timer stop(loop, [&loop] { loop.stop(); });
  stop.set(Clock::now() + time);
  loop.run();
}

TEST_CASE("a timer fires once, at its time and not before") {
  Loop loop;
  int fired = 0;
  TimePoint at{};
  Timer timer(loop, [&] {
    ++fired;
    at = Clock::now();
  });
  const TimePoint when = Clock::now() + milliseconds(5);
  timer.set(when);
  run(loop, milliseconds(30));
  CHECK(fired == 1);
  CHECK(at >= when);
}

TEST_CASE("a timer can be set anew, stopped, and set to the past") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.set(Clock::now() + milliseconds(2));
  timer.set(kNever);
  run(loop, milliseconds(10));
  CHECK(fired == 0);
  timer.set(Clock::now() - milliseconds(50));
  run(loop, milliseconds(5));
  CHECK(fired == 1);
  timer.set(Clock::now() + milliseconds(500));
  timer.set(Clock::now() + milliseconds(1));
  run(loop, milliseconds(10));
  CHECK(fired == 2);
}

TEST_CASE("a repeating timer") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.repeat(milliseconds(2));
  run(loop, milliseconds(50));
  CHECK(fired >= 3);
}

TEST_CASE("a timer may be destroyed by its own callback, or before it fires") {
  Loop loop;
  int fired = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] {
    ++fired;
    timer.reset();
  });
  timer->set(Clock::now());
  {
    Timer gone(loop, [&] { fired += 100; });
    gone.set(Clock::now());
  }
  run(loop, milliseconds(5));
  CHECK(fired == 1);
}

TEST_CASE("a flush comes once a turn, however often it is asked for") {
  Loop loop;
  Flusher flusher;
  for (int i = 0; i < 5; ++i) loop.flush_at_turn_end(flusher);
  run(loop, milliseconds(5));
  CHECK(flusher.flushes == 1);
  loop.flush_at_turn_end(flusher);
  run(loop, milliseconds(5));
  CHECK(flusher.flushes == 2);
}

TEST_CASE("a target that goes before the end of the turn is not flushed, and one that another destroys neither") {
  Loop loop;
  {
    Flusher gone;
    loop.flush_at_turn_end(gone);
  }
  Flusher first;
  auto second = std::make_unique<Flusher>();
  first.act = [&] { second.reset(); };
  loop.flush_at_turn_end(first);
  loop.flush_at_turn_end(*second);
  run(loop, milliseconds(5));
  CHECK(first.flushes == 1);
}

TEST_CASE("a flush may ask for further flushes and destroy itself; the hook comes last") {
  Loop loop;
  std::string order;
  auto first = std::make_unique<Flusher>();
  Flusher second;
  second.act = [&] { order += "2"; };
  first->act = [&] {
    order += "1";
    loop.flush_at_turn_end(second);
    auto* const self = &first;
    self->reset();
  };
  loop.on_turn_end([&] {
    if (order.size() == 2) order += "hook";
  });
  loop.flush_at_turn_end(*first);
  run(loop, milliseconds(5));
  CHECK(order == "12hook");
}

TEST_CASE("a poller reports what is watched, until it is told otherwise") {
  Loop loop;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd near(ends[0]);
  UniqueFd far(ends[1]);
  Listener listener;
  int readable = 0;
  int writable = 0;
  Poller poller(loop, near.get(), listener);
  listener.act = [&](bool can_read, bool can_write) {
    readable += can_read ? 1 : 0;
    writable += can_write ? 1 : 0;
    poller.watch(false, false);
  };
  run(loop, milliseconds(3));
  CHECK(readable + writable == 0);
  poller.watch(false, true);
  run(loop, milliseconds(3));
  CHECK(writable == 1);
  poller.watch(true, false);
  run(loop, milliseconds(3));
  CHECK(readable == 0);
  REQUIRE(send(far.get(), "x", 1, 0) == 1);
  run(loop, milliseconds(3));
  CHECK(readable == 1);
}

TEST_CASE("a poller may be destroyed by its own callback, with its descriptor") {
  Loop loop;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd near(ends[0]);
  UniqueFd far(ends[1]);
  Listener listener;
  auto poller = std::make_unique<Poller>(loop, near.get(), listener);
  int calls = 0;
  listener.act = [&](bool, bool) {
    ++calls;
    poller.reset();
    near.reset();
  };
  poller->watch(true, true);
  run(loop, milliseconds(5));
  CHECK(calls == 1);
}

TEST_CASE("a descriptor may be left to the kernel at any time before it is closed") {
  Loop loop;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd near(ends[0]);
  const UniqueFd far(ends[1]);
  Listener listener;
  int calls = 0;
  listener.act = [&](bool, bool) { ++calls; };
  {
    Poller poller(loop, near.get(), listener);
    SUBCASE("before it was ever watched") {}
    SUBCASE("in the turn in which it was first watched") { poller.watch(true, false); }
    SUBCASE("in a turn in which its interest changed") {
      poller.watch(true, false);
      run(loop, milliseconds(2));
      poller.watch(true, true);
    }
    SUBCASE("later") {
      poller.watch(true, false);
      run(loop, milliseconds(2));
    }
    poller.let_kernel_forget();
  }
  near.reset();
  REQUIRE(send(far.get(), "x", 1, MSG_NOSIGNAL) == -1);
  run(loop, milliseconds(2));
  CHECK(calls == 0);
}

TEST_CASE("a descriptor's number comes again: what was reported of the old one does not reach its next poller") {
  Loop loop;
  bool kernel_forgets = false;
  SUBCASE("") {}
  SUBCASE("the kernel forgets it by itself") { kernel_forgets = true; }
  struct Side final : PollListener {
    void on_poll(bool, bool) noexcept override {
      ++calls;
      if (act) act();
    }
    int calls = 0;
    std::function<void()> act;
  };
  int first[2];
  int second[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, first) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second) == 0);
  Side sides[2];
  Side heir;
  std::unique_ptr<Poller> pollers[2];
  std::unique_ptr<Poller> next;
  int far = -1;
  // Both are readable in the same turn. Whoever hears first closes the other and makes a new one of the same number.
  const int near[2] = {first[0], second[0]};
  for (int i = 0; i < 2; ++i) {
    pollers[i] = std::make_unique<Poller>(loop, near[i], sides[i]);
    pollers[i]->watch(true, false);
    sides[i].act = [&, i] {
      if (next) return;
      pollers[i]->watch(false, false);
      const int other = near[1 - i];
      if (kernel_forgets) pollers[1 - i]->let_kernel_forget();
      pollers[1 - i].reset();
      close(other);
      int ends[2];
      REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
      REQUIRE(ends[0] == other);
      far = ends[1];
      next = std::make_unique<Poller>(loop, ends[0], heir);
      next->watch(true, false);
    };
  }
  REQUIRE(send(first[1], "x", 1, 0) == 1);
  REQUIRE(send(second[1], "x", 1, 0) == 1);
  run(loop, milliseconds(5));
  CHECK(sides[0].calls + sides[1].calls == 1);
  CHECK(heir.calls == 0);
  heir.act = [&] { next->watch(false, false); };
  REQUIRE(send(far, "x", 1, 0) == 1);
  run(loop, milliseconds(5));
  CHECK(heir.calls == 1);
  pollers[0].reset();
  pollers[1].reset();
  next.reset();
  close(near[0]);
  close(near[1]);
  for (const int fd : {first[1], second[1], far}) close(fd);
}

}  // namespace
}  // namespace dotrelay
