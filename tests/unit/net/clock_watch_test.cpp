// The watch over the clock of the day. The machine's clock is not set here: what is tested is that the kernel takes the
// timer, that it stays armed with cancelling, and that a clock that nobody sets is silent.
#include "net/clock_watch.hpp"

#include <cstdio>
#include <doctest/doctest.h>
#include <string>
#include <sys/timerfd.h>

namespace dotrelay {
namespace {

TEST_CASE("the timer is one of CLOCK_REALTIME that is cancelled when the clock is set, and never expires") {
  const UniqueFd timer = make_clock_timer();
  REQUIRE(timer);
  std::FILE* const facts = std::fopen(("/proc/self/fdinfo/" + std::to_string(timer.get())).c_str(), "r");
  REQUIRE(facts != nullptr);
  std::string text;
  for (int c = std::fgetc(facts); c != EOF; c = std::fgetc(facts)) text += static_cast<char>(c);
  std::fclose(facts);
  CHECK(text.find("clockid: 0\n") != std::string::npos);
  // TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
  CHECK(text.find("settime flags: 03\n") != std::string::npos);
  itimerspec left{};
  REQUIRE(timerfd_gettime(timer.get(), &left) == 0);
  CHECK(left.it_value.tv_sec > 3600 * 24 * 365);
  CHECK_FALSE(clock_was_set(timer.get()));
}

TEST_CASE("a clock that nobody sets tells nothing") {
  Loop loop;
  int calls = 0;
  const ClockWatch watch(loop, [&] { ++calls; });
  CHECK(watch.active());
  Timer stop(loop, [&loop] { loop.stop(); });
  stop.set(Clock::now() + std::chrono::milliseconds(20));
  loop.run();
  CHECK(calls == 0);
}

}  // namespace
}  // namespace dotrelay
