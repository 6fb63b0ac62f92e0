// The supervisor's end of a control socket, against a worker that says other things than it should.
#include "supervisor/worker_process.hpp"

#include "net/descriptor_passing.hpp"
#include "net/loop.hpp"
#include "process/control_message.hpp"

#include <array>
#include <cerrno>
#include <doctest/doctest.h>
#include <filesystem>

namespace dotrelay {
namespace {

void turn(Loop& loop) {
  Timer end(loop, [&loop] { loop.stop(); });
  end.set(Clock::now() + std::chrono::milliseconds(20));
  loop.run();
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()));
}

TEST_CASE("what a worker says beside that it is ready is skipped, and its descriptors are closed") {
  Loop loop;
  auto [ours, theirs] = *make_channel();
  int ready = 0;
  WorkerControl control(loop, std::move(ours), [&ready] { ++ready; });
  turn(loop);
  const std::size_t before = open_descriptors();
  const std::array<std::uint8_t, 200> nonsense = {'?', 1, 2};
  for (int i = 0; i < 5; ++i) REQUIRE(send_message(theirs.get(), nonsense, {}, theirs.get()) == 0);
  turn(loop);
  CHECK(ready == 0);
  CHECK(open_descriptors() == before);
  say_ready(theirs.get());
  turn(loop);
  CHECK(ready == 1);
}

TEST_CASE("a worker that is ready can say nothing more, but hears everything") {
  Loop loop;
  auto [ours, theirs] = *make_channel();
  int ready = 0;
  WorkerControl control(loop, std::move(ours), [&ready] { ++ready; });
  say_ready(theirs.get());
  turn(loop);
  CHECK(ready == 1);
  const std::array<std::uint8_t, 1> flood = {'?'};
  CHECK(send_message(theirs.get(), flood, {}, theirs.get()) == EPIPE);
  CHECK(receive_control(theirs.get()).kind == ControlMessage::Kind::nothing_yet);
  control.serve();
  CHECK(receive_control(theirs.get()).kind == ControlMessage::Kind::serve);
  CHECK(receive_control(theirs.get()).kind == ControlMessage::Kind::nothing_yet);
  control.dismiss();
  CHECK(receive_control(theirs.get()).kind == ControlMessage::Kind::end);
}

}  // namespace
}  // namespace dotrelay
