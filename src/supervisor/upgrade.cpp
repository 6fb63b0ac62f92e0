// See upgrade.hpp.
#include "supervisor/upgrade.hpp"

#include "base/random.hpp"
#include "process/exec_failure.hpp"
#include "process/memory_text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dotrelay {
namespace {

Error failed(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

/// The path that was given to exec, made absolute; empty when there is none, or it names this process.
std::string path_of_start() {
  const auto* const given = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  std::string path = given != nullptr ? given : "";
  if (path.starts_with("/proc/") || path.starts_with("/dev/fd/")) return {};
  if (path.empty() || path.starts_with('/')) return path;
  while (path.starts_with("./")) path.erase(0, 2);
  std::array<char, PATH_MAX> folder{};
  return getcwd(folder.data(), folder.size()) != nullptr ? std::string(folder.data()) + "/" + path : std::string();
}

/// Nothing that a program can say by chance, nor repeat from an earlier check.
std::string make_token() {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, Random().u64());
  return text;
}

/// All zero when there is none.
FileIdentity identity_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

std::vector<char*> pointers_to(std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string own_program() {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t size = readlink("/proc/self/exe", buffer.data(), buffer.size());
  const std::string resolved = size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : std::string();
  std::string started = path_of_start();
  struct stat named {};
  struct stat running {};
  const bool same = !started.empty() && stat(started.c_str(), &named) == 0 && stat("/proc/self/exe", &running) == 0 &&
                    named.st_dev == running.st_dev && named.st_ino == running.st_ino;
  return same ? started : resolved;
}

Result<RunningCheck> start_check(const std::string& program, const std::string& config_file) {
  int answer[2];
  if (pipe2(answer, O_CLOEXEC | O_NONBLOCK) != 0) return failed("cannot run " + program);
  RunningCheck check;
  check.answer = UniqueFd(answer[0]);
  const UniqueFd answers(answer[1]);
  auto failure = ExecFailure::make();
  if (!failure) return failed("cannot run " + program);
  check.exec_failure = std::move(failure->parent);
  check.program = program;
  check.token = make_token();
  check.file = identity_of(program);
  std::vector<std::string> arguments = {program,
                                        "check",
                                        "--handover=" + std::to_string(UpgradeState::kVersion),
                                        "--answer=" + std::to_string(answers.get()),
                                        "--token=" + check.token,
                                        "--config",
                                        config_file};
  const std::vector<char*> pointers = pointers_to(arguments);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  check.pid = fork();
  if (check.pid == 0) {  // only async-signal-safe calls from here
    for (const int number : {SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    fcntl(answers.get(), F_SETFD, 0);
    execv(pointers[0], pointers.data());
    end_after_failed_exec(failure->child.get());
  }
  const int error = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  if (check.pid < 0) return failed("cannot run " + program);
  return check;
}

std::optional<std::string> why_no_takeover(const RunningCheck& check, int status) {
  if (const auto failure = exec_failure(check.exec_failure)) {
    return "cannot execute " + check.program + ": " + *failure;
  }
  const std::string its_check = check.program + " check ";
  constexpr const char* kRestart = "; if it is another version of dotrelay, restart the relay to run it";
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const bool wrong_usage = WIFEXITED(status) && WEXITSTATUS(status) == 2;
    return its_check + how_it_ended(status) + (wrong_usage ? kRestart : "");
  }
  const std::string expected = takeover_answer(check.token);
  std::string answer(expected.size() + 1, '\0');
  const ssize_t size = read(check.answer.get(), answer.data(), answer.size());
  answer.resize(static_cast<std::size_t>(std::max<ssize_t>(0, size)));
  if (answer != expected) return its_check + "does not say that it takes over from this version" + kRestart;
  if (identity_of(check.program) != check.file) return check.program + " has changed since its check";
  return std::nullopt;
}

std::string takeover_answer(std::string_view token) {
  return "takes over " + std::to_string(UpgradeState::kVersion) + " " + std::string(token) + "\n";
}

Error execute_in_place(const UpgradeState& state, std::vector<std::string> arguments) {
  const std::string text = state.to_text();
  const Result<UniqueFd> sealed = into_memory(text);
  if (!sealed) return sealed.error();
  const UniqueFd& memory = *sealed;
  arguments.insert(arguments.begin(), state.program);
  arguments.push_back("--resume=" + std::to_string(memory.get()));
  const std::vector<char*> pointers = pointers_to(arguments);
  std::vector<int> inherited = state.descriptors();
  inherited.push_back(memory.get());

  for (const int fd : inherited) fcntl(fd, F_SETFD, 0);
  execv(pointers[0], pointers.data());
  const Error error = failed("cannot execute " + state.program);
  for (const int fd : inherited) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return error;
}

void block_signals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
}

void allow_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<UpgradeState> take_upgrade_state(int fd) {
  const UniqueFd memory(fd);
  Result<UpgradeState> state = UpgradeState::from_text(text_in_memory(fd));
  if (!state) return state;
  for (const int inherited : state->descriptors()) {
    if (fcntl(inherited, F_SETFD, FD_CLOEXEC) != 0) return failed("descriptor " + std::to_string(inherited));
  }
  return state;
}

}  // namespace dotrelay
