// A generation and the lives of its workers: real processes that do what a script says.
#include "supervisor/generation.hpp"

#include "net/descriptor_passing.hpp"
#include "process/heartbeat.hpp"
#include "supervisor/generation_fixture.hpp"
#include "upstream/sibling_record.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using Fixture = test::GenerationFixture;

TEST_CASE_FIXTURE(Fixture, "a generation is ready once: when all its workers are") {
  Generation& generation = start("# worker 1: ready\n# worker 2: wait ready\n", 2);
  REQUIRE(until_ready(generation, 1));
  CHECK(times_ready() == 0);
  {
    const UniqueFd gate = open_gate();
    REQUIRE(until_ready(generation, 2));
    CHECK(times_ready() == 1);
    kill_worker(pids(generation)[0]);
    REQUIRE(until_ready(generation, 2));
  }
  CHECK(times_ready() == 1);
  CHECK(failures().empty());
  CHECK(logged().find("worker 1 is ready (PID " + std::to_string(pids(generation)[0]) + ")") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a worker inherits its sockets and the mailboxes, and serves as soon as it is ready") {
  Generation& generation = make(make_parts("", 2, {test::free_address(), test::free_address()}));
  generation.start();
  for (const std::string number : {"1", "2"}) CHECK(until_noted(number + " serve"));
  for (const Generation::RunningWorker& worker : generation.running_workers()) {
    const std::string line = std::to_string(worker.number) + " start " + std::to_string(worker.pid) + " 2 2\n";
    CHECK(diary().find(line) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "a worker that dies is replaced at once, and its siblings hear of its death") {
  Generation& generation = start("", 2);
  REQUIRE(until_ready(generation, 2));
  const std::vector<pid_t> before = pids(generation);
  kill_worker(before[0]);
  const std::vector<pid_t> after = pids(generation);
  REQUIRE(after.size() == 2);
  CHECK(after[0] != before[0]);
  CHECK(after[1] == before[1]);
  CHECK(logged().find("worker 1 was killed by signal 9; starting another\n") != std::string::npos);

  std::array<std::uint8_t, SiblingRecord::kMaxBytes> buffer{};
  const ReceivedMessage message = receive_message(generation.parts().mailboxes[1].reading.get(), buffer);
  const auto record = SiblingRecord::read(Bytes(buffer).first(message.size));
  REQUIRE(record);
  CHECK(record->kind == SiblingRecord::Kind::died);
  CHECK(record->worker == 1);
}

TEST_CASE_FIXTURE(Fixture, "one that dies as soon as it is ready, again and again, waits for its replacement") {
  Generation& generation = start("", 1);
  int deaths = 0;
  // A machine that is slow now and then gives it a longer life, and the count begins anew.
  for (bool waits = false; !waits; waits = pids(generation).empty()) {
    REQUIRE(until_ready(generation, 1));
    REQUIRE(++deaths < 100);
    kill_worker(pids(generation)[0]);
  }
  CHECK(deaths > 1);
  CHECK(logged().find("; starting another in 50 ms\n") != std::string::npos);
  CHECK(until_ready(generation, 1));
  CHECK(times_ready() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "five failed starts give a worker up and close its sockets; with the last one all hope goes") {
  Generation& some = start("# worker 1: as=some exit=3\n# worker 2: ready\n", 2);
  Generation& none = start("# worker 1: as=none exit=3\n", 1);
  REQUIRE(sockets().pairs().size() == 3);
  REQUIRE(until([&] { return sockets().pairs().size() == 1; }));
  for (const std::string name : {"some", "none"}) CHECK(test::count_in(diary(), name + " 1 start ") == 5);
  CHECK(test::count_in(logged(), "worker 1 exited with status 3 before it was ready\n") == 10);
  CHECK(test::count_in(logged(), "worker 1 is given up after 5 failed starts") == 2);
  CHECK(some.parts().sockets[0].empty());
  CHECK(some.ready_workers() == 1);
  CHECK_FALSE(some.hopeless());
  CHECK(none.hopeless());
  CHECK(failures() == std::vector<std::string>{"no worker can start"});
}

TEST_CASE_FIXTURE(Fixture, "a candidate serves only when it is told to") {
  Generation& generation = start("", 2, Stage::candidate);
  REQUIRE(until_ready(generation, 2));
  CHECK(times_ready() == 1);
  CHECK(diary().find("serve") == std::string::npos);
  generation.serve();
  for (const std::string number : {"1", "2"}) CHECK(until_noted(number + " serve"));
  kill_worker(pids(generation)[0]);
  CHECK(pids(generation).size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "the first worker of a candidate that fails makes it fail, and nothing is done about it") {
  std::string how;
  SUBCASE("before it is ready") { how = " exited with status 3 before it was ready"; }
  SUBCASE("ready") { how = " was killed by signal 9"; }
  const bool ready = how.find("killed") != std::string::npos;
  Generation& generation = start(
      ready ? "# worker 1: wait\n# worker 2: ready" : "# worker 1: wait\n# worker 2: exit=3\n", 2, Stage::candidate);
  if (ready) {
    REQUIRE(until_ready(generation, 1));
    kill_worker(pids(generation)[1]);
  }
  REQUIRE(until([&] { return !failures().empty(); }));
  CHECK(failures() == std::vector<std::string>{"a new worker 2" + how});
  CHECK(pids(generation).size() == 1);
  CHECK_FALSE(generation.ended());
  generation.kill_all();
  CHECK(until([&] { return generation.ended(); }));
  CHECK(failures().size() == 1);
  CHECK(times_ready() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a worker whose heartbeat stops is killed and replaced, one whose beats is not") {
  Generation& generation = start("# worker 1: ready hang\n", 2);
  REQUIRE(until_ready(generation, 2));
  const std::vector<pid_t> before = pids(generation);
  const SharedWord& heartbeat = generation.parts().shared->slot(1).heartbeat;
  for (int missed = 1; missed <= kMaxMissedHeartbeats; ++missed) {
    CHECK(logged().find("hangs") == std::string::npos);
    const std::uint32_t beat = heartbeat;
    REQUIRE(until([&] { return heartbeat != beat; }));
    generation.check_heartbeats();
  }
  CHECK(logged().find("worker 1 hangs; killing it\n") != std::string::npos);
  REQUIRE(until([&] { return pids(generation).size() == 2 && pids(generation)[0] != before[0]; }));
  CHECK(pids(generation)[1] == before[1]);
}

TEST_CASE_FIXTURE(Fixture, "a worker that does not get ready is killed later") {
  Generation& generation = start("# worker 1: hang\n", 1);
  for (int checks = 0; checks < kMaxStartHeartbeats; ++checks) {
    CHECK(logged().find("killing") == std::string::npos);
    generation.check_heartbeats();
  }
  CHECK(logged().find("worker 1 does not get ready; killing it\n") != std::string::npos);
  CHECK(
      until([&] { return logged().find("worker 1 was killed by signal 9 before it was ready") != std::string::npos; }));
}

}  // namespace
}  // namespace dotrelay
