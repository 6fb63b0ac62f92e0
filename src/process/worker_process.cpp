// See worker_process.hpp.
#include "process/worker_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

/// In the child between fork and exec: only async-signal-safe calls (signal-safety(7)).
[[noreturn]] void become_worker(const std::vector<int>& descriptors, std::array<char*, 6>& arguments) {
  for (const int fd : descriptors) fcntl(fd, F_SETFD, 0);
  // The handlers inherited from the supervisor would swallow a signal that comes before exec.
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv("/proc/self/exe", arguments.data());
  _exit(127);
}

}  // namespace

Result<StartedWorker> start_worker(Inheritance inheritance, const std::string& config_file) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{std::string("cannot make a control socket: ") + std::strerror(errno)};
  }
  StartedWorker started;
  started.control = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  inheritance.control = theirs.get();

  // Everything that allocates happens before fork.
  auto [worker, descriptors] = inheritance.to_arguments();
  std::string program = "dotrelay";
  std::string config_option = "--config";
  std::string file = config_file;
  std::array<char*, 6> arguments = {program.data(),       worker.data(), descriptors.data(),
                                    config_option.data(), file.data(),   nullptr};
  const std::vector<int> inherited = inheritance.descriptors();

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  started.pid = fork();
  if (started.pid == 0) become_worker(inherited, arguments);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (started.pid < 0) return Error{std::string("cannot start: ") + std::strerror(errno)};
  return started;
}

ReadinessWatch::ReadinessWatch(Loop& loop, UniqueFd control, std::function<void()> ready)
    : control_(std::move(control)), ready_(std::move(ready)), poller_(loop, control_.get(), *this) {
  poller_.watch(true, false);
}

void ReadinessWatch::dismiss() { shutdown(control_.get(), SHUT_WR); }

void ReadinessWatch::on_poll(bool, bool) noexcept {
  char octet = 0;
  const bool said_ready = recv(control_.get(), &octet, 1, MSG_DONTWAIT) == 1;
  poller_.watch(false, false);  // the worker says no more; its end shows in SIGCHLD
  if (said_ready) ready_();
}

}  // namespace dotrelay
