// The end of a generation, with and without a successor, and one that an earlier program has started.
#include "net/sockets.hpp"
#include "process/heartbeat.hpp"
#include "supervisor/generation_fixture.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using Fixture = test::GenerationFixture;

/// Two addresses, of which the successor keeps the first.
struct Succession : Fixture {
  Generation& begin(const std::string& script) {
    Generation& old = make(make_parts(script, 1, {kept, given_up}));
    old.start();
    Generation& successor = make(make_parts("# workers: as=new ready\n", 1, {kept}), Stage::candidate);
    successor.start();
    REQUIRE(until_ready(old, 1));
    REQUIRE(until_ready(successor, 1));
    successor.serve();
    old.hand_over(successor);
    return old;
  }

  Endpoint kept = test::free_address();
  Endpoint given_up = test::free_address();
};

TEST_CASE_FIXTURE(Succession, "workers hand over to the successor's, leave the ports that it does not have, and end") {
  Generation& old = begin("# workers: as=old ready\n");
  CHECK(old.stage() == Stage::retiring);
  const WorkerSockets& leases = old.parts().sockets[0];
  CHECK_FALSE(has_left_port(leases[0].pair().udp.get(), Protocol::udp));
  CHECK(has_left_port(leases[1].pair().udp.get(), Protocol::udp));
  CHECK(until_noted("new 1 take_clients"));
  REQUIRE(until([&] { return old.ended(); }));
  CHECK(diary().find("old 1 hand_over sl\n") != std::string::npos);
  CHECK_FALSE(has_left_port(leases[0].pair().tcp.get(), Protocol::tcp));
  CHECK(has_left_port(leases[1].pair().tcp.get(), Protocol::tcp));
  CHECK(failures().empty());
}

TEST_CASE_FIXTURE(Succession, "what waits in a TCP socket is the worker's to accept, unless it hangs") {
  Generation& old = begin("# workers: as=old ready hang\n");
  const SocketPair& pair = old.parts().sockets[0][1].pair();
  for (int check = 0; check < kHeartbeatsToLeavePort; ++check) {
    CHECK_FALSE(has_left_port(pair.tcp.get(), Protocol::tcp));
    old.check_heartbeats();
  }
  CHECK(has_left_port(pair.tcp.get(), Protocol::tcp));
  CHECK(pids(old).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "dismissed workers drain and end, leave all ports and are not replaced") {
  Generation& generation = start("", 2);
  REQUIRE(until_ready(generation, 2));
  generation.dismiss();
  REQUIRE(until([&] { return generation.ended(); }));
  for (const std::string number : {"1", "2"}) {
    CHECK(diary().find(number + " end\n") != std::string::npos);
    CHECK(test::count_in(diary(), number + " start ") == 1);
  }
  for (const WorkerSockets& leases : generation.parts().sockets) {
    CHECK(has_left_port(leases[0].pair().udp.get(), Protocol::udp));
    CHECK(has_left_port(leases[0].pair().tcp.get(), Protocol::tcp));
  }
}

TEST_CASE_FIXTURE(Fixture, "a worker that waits for its restart when the generation retires is not started any more") {
  Generation& generation = start("# worker 1: exit=3\n", 1);
  REQUIRE(until([&] { return generation.ended(); }));
  generation.dismiss();
  const TimePoint later = Clock::now() + 4 * GenerationWorker::kFirstRestartDelay;
  CHECK(until([&] { return Clock::now() > later; }));
  CHECK(test::count_in(diary(), "1 start ") == 1);
}

TEST_CASE_FIXTURE(Fixture, "workers that do not end in time are killed: the deadline of queries, and two seconds") {
  GenerationParts parts = make_parts("# workers: ready stay\n", 1, {test::free_address()});
  parts.config.relay.deadline = Duration{};
  Generation& generation = make(std::move(parts));
  generation.start();
  REQUIRE(until_ready(generation, 1));
  const TimePoint dismissed = Clock::now();
  generation.dismiss();
  REQUIRE(until_noted("1 end"));
  CHECK_FALSE(generation.ended());
  CHECK(until([&] { return generation.ended(); }));
  CHECK(Clock::now() - dismissed >= std::chrono::milliseconds(1990));  // the loop counts whole milliseconds
}

TEST_CASE_FIXTURE(Fixture,
                  "adopted workers are known and replaced; those that are missing start, except without sockets") {
  Generation& before = start("", 1);
  REQUIRE(until_ready(before, 1));
  REQUIRE(times_ready() == 1);
  Generation::RunningWorker running = before.running_workers()[0];
  running.control = fcntl(running.control, F_DUPFD_CLOEXEC, 0);

  GenerationParts parts = make_parts("# workers: as=now ready\n", 3, {test::free_address()});
  parts.sockets[2].clear();
  Generation& generation = make(std::move(parts));
  generation.adopt(running);
  generation.start_missing();
  REQUIRE(until_ready(generation, 2));
  CHECK(pids(generation)[0] == running.pid);
  CHECK(diary().find("now 1 start") == std::string::npos);
  CHECK(diary().find("now 3 start") == std::string::npos);
  CHECK(times_ready() == 1);
  CHECK(logged().find("worker 2 is ready (PID ") != std::string::npos);
  before.retire();
  kill_worker(running.pid);
  REQUIRE(pids(generation).size() == 2);
  CHECK(pids(generation)[0] != running.pid);
  CHECK_FALSE(generation.hopeless());
}

TEST_CASE_FIXTURE(Fixture, "of a retiring generation that an earlier program started only the workers are known") {
  Generation& before = start("", 1);
  REQUIRE(until_ready(before, 1));
  Generation::RunningWorker running = before.running_workers()[0];
  running.control = fcntl(running.control, F_DUPFD_CLOEXEC, 0);
  before.retire();

  Generation& generation = make(GenerationParts{});
  generation.adopt(running);
  generation.retire();
  for (int check = 0; check < kMaxStartHeartbeats; ++check) generation.check_heartbeats();
  CHECK(pids(generation) == std::vector<pid_t>{running.pid});
  generation.dismiss();
  CHECK(until([&] { return generation.ended(); }));
  CHECK(diary().find("1 end\n") != std::string::npos);
}

}  // namespace
}  // namespace dotrelay
