// One worker as the supervisor knows it: its states, and what its ends mean for the next start.
#include "supervisor/generation_worker.hpp"

#include "net/descriptor_passing.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using State = GenerationWorker::State;
using std::chrono::milliseconds;

constexpr TimePoint kNow{std::chrono::hours(1)};

struct Fixture {
  std::unique_ptr<WorkerControl> control() {
    return std::make_unique<WorkerControl>(loop, std::move(make_channel()->first), [] {});
  }
  void begin() { worker.begin(100, UniqueFd(), control()); }
  /// Becomes ready, lives for so long, and ends.
  Duration live(Duration life) {
    begin();
    worker.become_ready(kNow);
    CHECK(worker.end().was_ready);
    return worker.replacement_delay(kNow + life);
  }

  Loop loop;
  GenerationWorker worker{3, loop, [](GenerationWorker&) {}};
};

TEST_CASE("from idle over starting to ready, and back") {
  Fixture fixture;
  GenerationWorker& worker = fixture.worker;
  CHECK(worker.name() == "worker 3");
  CHECK(worker.state() == State::idle);
  CHECK_FALSE(worker.runs());
  fixture.begin();
  CHECK(worker.state() == State::starting);
  CHECK(worker.pid() == 100);
  worker.become_ready(kNow);
  CHECK(worker.state() == State::ready);
  const GenerationWorker::End end = worker.end();
  CHECK(end.was_ready);
  CHECK_FALSE(end.exec_failure);
  CHECK(worker.state() == State::idle);
  CHECK(worker.pid() == 0);
  fixture.begin();
  CHECK_FALSE(worker.end().was_ready);
}

TEST_CASE("five failed starts in a row are too many; one that becomes ready counts anew") {
  Fixture fixture;
  GenerationWorker& worker = fixture.worker;
  for (int round = 0; round < 2; ++round) {
    Duration before{};
    for (int i = 1; i < GenerationWorker::kMaxFailedStarts; ++i) {
      const std::optional<Duration> delay = worker.retry_delay();
      REQUIRE(delay);
      CHECK(*delay > before);
      before = *delay;
    }
    if (round == 0) worker.become_ready(kNow);
  }
  CHECK_FALSE(worker.retry_delay());
  worker.give_up();
  CHECK(worker.state() == State::given_up);
}

TEST_CASE("a worker that ends at once again and again is replaced ever later, one that has lived at once") {
  Fixture fixture;
  CHECK(fixture.live(milliseconds(5)) == Duration{});
  CHECK(fixture.live(milliseconds(5)) == GenerationWorker::kFirstReplacementDelay);
  CHECK(fixture.live(milliseconds(5)) == 2 * GenerationWorker::kFirstReplacementDelay);
  for (int i = 0; i < 20; ++i) fixture.live(milliseconds(5));
  CHECK(fixture.live(milliseconds(5)) == GenerationWorker::kLongestReplacementDelay);
  CHECK(fixture.live(GenerationWorker::kAtOnce) == Duration{});
  CHECK(fixture.live(milliseconds(5)) == Duration{});
}

TEST_CASE("heartbeats: one that stands still is missed; before it is ready all are; another version has none") {
  Fixture fixture;
  GenerationWorker& worker = fixture.worker;
  fixture.begin();
  CHECK(worker.note_heartbeat(7) == 1);
  CHECK(worker.note_heartbeat(8) == 2);
  worker.become_ready(kNow);
  CHECK(worker.note_heartbeat(9) == 0);
  CHECK(worker.note_heartbeat(9) == 1);
  CHECK(worker.note_heartbeat(9) == 2);
  worker.forgive_heartbeats();
  CHECK(worker.note_heartbeat(9) == 1);
  CHECK(worker.note_heartbeat(10) == 0);
  worker.end();
  worker.adopt(101, fixture.control(), false);
  CHECK(worker.state() == State::ready);
  CHECK(worker.note_heartbeat(10) == 0);
  CHECK(worker.note_heartbeat(10) == 0);
}

}  // namespace
}  // namespace dotrelay
