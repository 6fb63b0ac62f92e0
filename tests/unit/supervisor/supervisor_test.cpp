// A supervisor with scripted workers, by its signals, its log and what its workers are told.
#include "supervisor/supervisor.hpp"

#include "net/sockets.hpp"
#include "supervisor/supervisor_process.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using test::count_in;
using Fixture = test::SupervisorProcess;

TEST_CASE_FIXTURE(Fixture, "SIGTERM drains: every worker is told, and the exit status is 0") {
  run_ready();
  CHECK(notices_signals());
  send(SIGTERM);
  CHECK(logs("supervisor: stopping: answering what has been read"));
  CHECK(exit_status() == 0);
  CHECK(log().find("supervisor: stopped: 0 answers to clients") != std::string::npos);
  for (const std::string worker : {"old 1", "old 2"}) CHECK(diary().find(worker + " end\n") != std::string::npos);
  CHECK(probe_bind(address(), Protocol::udp) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a worker that dies is replaced, with the same sockets") {
  run_ready();
  const pid_t pid = pid_of("old 2");
  REQUIRE(pid > 0);
  kill(pid, SIGKILL);
  CHECK(logs("error   supervisor: worker 2 was killed by signal 9; starting another"));
  CHECK(logs("supervisor: worker 2 is ready (PID "));
  CHECK(pid_of("old 2") != pid);
  CHECK(count_in(diary(), "old 1 start ") == 1);
  CHECK(stop() == 0);
}

TEST_CASE_FIXTURE(Fixture, "without a worker that can start it gives up, with status 1") {
  configure("# workers: exit=3", 1);
  run();
  CHECK(exit_status() == 1);
  CHECK(log().find("error   supervisor: no worker can start\n") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a reload: the new workers serve, and the old ones hand over to them, on the same sockets") {
  run_ready();
  reload("# workers: as=new ready");
  CHECK(logs("reloaded " + config_file() + ": 2 workers"));
  for (const std::string number : {"1", "2"}) {
    CHECK(notes("new " + number + " serve"));
    CHECK(notes("old " + number + " hand_over s\n"));
    CHECK(notes("new " + number + " take_clients"));
    CHECK(ends(pid_of("old " + number)));
  }
  CHECK(stop() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a reload that fails changes nothing, and its workers are killed") {
  run_ready();
  SUBCASE("a worker does not start") {
    reload("# worker 1: as=new wait exit=3\n# worker 2: as=new hang");
    REQUIRE(notes("new 2 start"));
    REQUIRE(notes("new 1 start"));
    const pid_t other = pid_of("new 2");
    const UniqueFd gate = open_gate();
    CHECK(
        logs("error   supervisor: reload refused, nothing changed: a new worker 1 exited with status 3 before it was "
             "ready"));
    CHECK(ends(other));
  }
  SUBCASE("the file is wrong") {
    test::write_file(config_file(), "[listen]\nworkers = 300\n");
    send(SIGHUP);
    CHECK(logs("error   supervisor: reload refused, nothing changed: " + config_file() + ":2:11: "));
  }
  SUBCASE("an address is taken") {
    const std::string taken = test::free_address().to_text();
    ListenSockets others;
    const auto leases = others.lease(test::listen_on({*parse_endpoint(taken, 0)}), 1);
    REQUIRE(others.join(*leases));
    configure("# workers: as=new ready");
    std::string text = test::content_of(config_file());
    text.replace(text.find(address().to_text()), address().to_text().size(), taken);
    test::write_file(config_file(), text);
    send(SIGHUP);
    CHECK(logs("error   supervisor: reload refused, nothing changed: cannot listen on " + taken));
  }
  CHECK(count_in(diary(), "old 1 start ") == 1);
  for (const std::string number : {"1", "2"}) CHECK(notes("old " + number + " serve\n"));
  CHECK(count_in(diary(), "serve\n") == 2);
  CHECK(diary().find("hand_over") == std::string::npos);
  reload("# workers: as=good ready");
  CHECK(logs("reloaded "));
  CHECK(notes("old 1 hand_over s\n"));
  CHECK(stop() == 0);
}

TEST_CASE_FIXTURE(Fixture, "what is asked for during a reload happens once, right afterwards") {
  run_ready("# workers: as=old ready stay");
  reload("# workers: as=new wait ready");
  for (const std::string number : {"1", "2"}) REQUIRE(notes("new " + number + " start"));
  for (int i = 0; i < 3; ++i) reload("# workers: as=last ready");
  CHECK(notices_signals());
  CHECK(diary().find("last") == std::string::npos);
  {
    const UniqueFd gate = open_gate();
    CHECK(logs("reloaded "));
    CHECK(logs("reloaded "));
    CHECK(kill(pid_of("old 1"), 0) == 0);  // its end was not needed for the second reload
  }
  CHECK(notes("new 1 hand_over s\n"));
  for (const std::string number : {"1", "2"}) kill(pid_of("old " + number), SIGKILL);
  CHECK(stop() == 0);
  CHECK(count_in(log(), "reloaded ") == 2);
  CHECK(count_in(diary(), "last 1 start") == 1);
}

TEST_CASE_FIXTURE(Fixture, "a stop during a reload kills the candidate, and the workers that serve drain") {
  run_ready();
  reload("# workers: as=new stay");
  for (const std::string number : {"1", "2"}) REQUIRE(notes("new " + number + " start"));
  CHECK(stop() == 0);
  CHECK(log().find("refused") == std::string::npos);
  for (const std::string number : {"1", "2"}) {
    CHECK(diary().find("old " + number + " end\n") != std::string::npos);
    CHECK(diary().find("new " + number + " end") == std::string::npos);
    CHECK(ends(pid_of("new " + number)));
  }
  CHECK(diary().find("hand_over") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a stop waits for retiring workers too, and tells them") {
  run_ready("# workers: as=old ready stay");
  reload("# workers: as=new ready");
  CHECK(logs("reloaded "));
  CHECK(notes("old 1 hand_over s\n"));
  CHECK(notes("old 2 hand_over s\n"));
  send(SIGTERM);
  for (const std::string number : {"1", "2"}) CHECK(notes("old " + number + " end\n"));
  for (const std::string number : {"1", "2"}) CHECK(ends(pid_of("new " + number)));
  send(SIGTERM);
  CHECK(notices_signals());
  for (const std::string number : {"1", "2"}) kill(pid_of("old " + number), SIGKILL);
  CHECK(exit_status() == 0);
  CHECK(count_in(log(), "stopping: ") == 1);
}

TEST_CASE_FIXTURE(Fixture, "with four retiring generations a reload waits until one has ended") {
  run_ready("# workers: as=old0 ready stay");
  for (const std::string number : {"1", "2", "3", "4"}) {
    reload("# workers: as=old" + number + " ready stay");
    REQUIRE(logs("reloaded "));
  }
  reload("# workers: as=last ready");
  CHECK(notices_signals());
  CHECK(diary().find("last") == std::string::npos);
  for (const std::string number : {"1", "2"}) kill(pid_of("old0 " + number), SIGKILL);
  CHECK(logs("reloaded "));
  CHECK(notes("last 1 serve"));
}

}  // namespace
}  // namespace dotrelay
