// SIGUSR2: a supervisor that has a program checked, and is replaced by it. The program is this test (main.cpp).
#include "supervisor/supervisor_process.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using test::count_in;
using Fixture = test::SupervisorProcess;

TEST_CASE_FIXTURE(Fixture, "an upgrade that the check refuses changes nothing") {
  run_ready();
  std::string script;
  std::string why;
  SUBCASE("wrong configuration") {
    script = "# check: exit=1";
    why = " check exited with status 1";
  }
  SUBCASE("another program") {
    script = "# check: exit=0";
    why = " check does not say that it takes over from this version; if it is another version";
  }
  SUBCASE("an answer to another question") {
    script = "# check: wrong";
    why = " check does not say that it takes over";
  }
  configure(script);
  const pid_t first = pid_of("old 1");
  send(SIGUSR2);
  CHECK(logs("upgrade: checking "));
  CHECK(logs("error   supervisor: upgrade refused, nothing changed: "));
  CHECK(log().find(why) != std::string::npos);
  CHECK(kill(first, 0) == 0);
  CHECK(count_in(diary(), "old 1 start ") == 1);
  reload("# workers: as=new ready");
  CHECK(logs("reloaded "));
  CHECK(stop() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a reload that is asked for during a check happens after it") {
  run_ready();
  reload("# check: wait exit=1\n# workers: as=new ready");
  CHECK(logs("reloaded "));
  send(SIGUSR2);
  REQUIRE(notes("check start "));
  reload("# workers: as=last ready");
  CHECK(notices_signals());
  CHECK(diary().find("last") == std::string::npos);
  const UniqueFd gate = open_gate();
  CHECK(logs("upgrade refused, nothing changed: "));
  CHECK(logs("reloaded "));
  CHECK(notes("last 1 serve"));
  CHECK(stop() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a stop during a check does not wait for it") {
  run_ready("# workers: as=old ready stay");
  configure("# check: hang");
  send(SIGUSR2);
  REQUIRE(notes("check start "));
  send(SIGTERM);
  CHECK(ends(pid_of("check")));
  CHECK(kill(pid_of("old 1"), 0) == 0);  // the check has not just ended with the supervisor
  for (const std::string number : {"1", "2"}) {
    CHECK(notes("old " + number + " end\n"));
    kill(pid_of("old " + number), SIGKILL);
  }
  CHECK(exit_status() == 0);
  CHECK(log().find("refused") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "the next program takes on the workers, and replaces them by its own") {
  run_ready();
  configure("# check: answer\n# workers: as=new ready");
  send(SIGUSR2);
  CHECK(logs("upgraded to dotrelay of the test; 2 workers of the old one serve until the new ones are ready"));
  CHECK(logs("reloaded " + config_file() + ": 2 workers"));
  for (const std::string number : {"1", "2"}) {
    CHECK(notes("old " + number + " hand_over s\n"));
    CHECK(notes("new " + number + " serve\n"));
    CHECK(diary().find("old " + number + " end") == std::string::npos);
    CHECK(ends(pid_of("old " + number)));
  }
  CHECK(count_in(diary(), "old ") == 6);  // each has started, served and handed over
  CHECK(stop() == 0);
  CHECK(diary().find("new 2 end\n") != std::string::npos);
}

}  // namespace
}  // namespace dotrelay
