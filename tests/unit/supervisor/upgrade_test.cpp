// The check by the next program, and what is handed to it. The program is this test (main.cpp).
#include "supervisor/upgrade.hpp"

#include "process/memory_text.hpp"
#include "supervisor/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>

namespace dotrelay {
namespace {

using test::TemporaryFolder;

bool closes_on_exec(int fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

/// Why the program must not take over after its check has ended; "" when it may.
std::string why_not(const RunningCheck& check) {
  int status = 0;
  REQUIRE(waitpid(check.pid, &status, 0) == check.pid);
  return why_no_takeover(check, status).value_or("");
}

std::string result_of(const std::string& script) {
  const TemporaryFolder folder;
  test::write_file(folder / "relay.toml", script);
  Result<RunningCheck> check = start_check(own_program(), folder / "relay.toml");
  REQUIRE(check);
  return why_not(*check);
}

TEST_CASE("a program that answers takes over; any other result of its check is a reason not to") {
  const std::string its_check = own_program() + " check ";
  CHECK(own_program().ends_with("supervisor_test"));
  CHECK(result_of("# check: answer") == "");
  CHECK(result_of("# check: answer exit=1") == its_check + "exited with status 1");
  CHECK(result_of("# check: exit=2").starts_with(its_check + "exited with status 2; if it is another version"));
  CHECK(result_of("# check: exit=0").starts_with(its_check + "does not say that it takes over from this version"));
  CHECK(result_of("# check: wrong").starts_with(its_check + "does not say"));
  CHECK(result_of("# check: answer answer").starts_with(its_check + "does not say"));
}

TEST_CASE("each check has a token of its own") {
  const TemporaryFolder folder;
  test::write_file(folder / "relay.toml", "");
  const Result<RunningCheck> one = start_check(own_program(), folder / "relay.toml");
  const Result<RunningCheck> other = start_check(own_program(), folder / "relay.toml");
  CHECK(one->token != other->token);
  CHECK(why_not(*one) == "");
  CHECK(why_not(*other) == "");
}

TEST_CASE("a program that cannot be executed, and one that changes while it checks") {
  const TemporaryFolder folder;
  const std::string program = folder / "program";
  const std::string config = folder / "relay.toml";
  test::write_file(config, "");
  CHECK(why_not(*start_check(program, config)) == "cannot execute " + program + ": no such file or directory");

  std::filesystem::copy_file(own_program(), program);
  const Result<RunningCheck> check = start_check(program, config);
  int status = 0;
  REQUIRE(waitpid(check->pid, &status, 0) == check->pid);
  std::filesystem::remove(program);
  test::write_file(program, "another");
  CHECK(why_no_takeover(*check, status) == program + " has changed since its check");
}

TEST_CASE("an upgrade that cannot be executed leaves the descriptors as they were") {
  UpgradeState state;
  state.program = "/none/dotrelay";
  const UniqueFd config(open("/dev/null", O_RDONLY | O_CLOEXEC));
  state.config = config.get();
  CHECK(execute_in_place(state, {}).message == "cannot execute /none/dotrelay: No such file or directory");
  CHECK(closes_on_exec(config.get()));
}

TEST_CASE("what is handed over is taken with descriptors that no worker inherits; one that is not there is an error") {
  UpgradeState state;
  state.program = "/opt/dotrelay";
  UniqueFd config(open("/dev/null", O_RDONLY));
  state.config = config.get();
  state.listeners = {{*parse_endpoint("127.0.0.1:53", 0), 1, config.get(), config.get()}};
  state.generations.push_back({-1, {}});
  const auto taken = take_upgrade_state(into_memory(state.to_text())->release());
  REQUIRE(taken);
  CHECK(taken->to_text() == state.to_text());
  CHECK(closes_on_exec(config.get()));
  Result<UniqueFd> memory = into_memory(state.to_text());
  config.reset();
  CHECK_FALSE(take_upgrade_state(memory->release()));
  CHECK_FALSE(take_upgrade_state(into_memory("nonsense\n")->release()));
}

}  // namespace
}  // namespace dotrelay
