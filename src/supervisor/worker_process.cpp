// See worker_process.hpp.
#include "supervisor/worker_process.hpp"

#include "net/descriptor_passing.hpp"
#include "process/control_message.hpp"
#include "process/exec_failure.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

/// In the child between fork and exec: only async-signal-safe calls (signal-safety(7)).
[[noreturn]] void become_worker(const std::vector<int>& descriptors, std::array<char*, 6>& arguments, int failure) {
  for (const int fd : descriptors) fcntl(fd, F_SETFD, 0);
  // These mean the supervisor, also when they come to the whole process group, as from a terminal or a service manager:
  // it tells its workers through their control sockets.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(number, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv("/proc/self/exe", arguments.data());
  end_after_failed_exec(failure);
}

}  // namespace

Result<StartedWorker> start_worker(Inheritance inheritance, const std::string& config_file) {
  auto ends = make_channel();
  if (!ends) return Error{std::string("cannot make a control socket: ") + std::strerror(errno)};
  auto failure = ExecFailure::make();
  if (!failure) return Error{std::string("cannot start: ") + std::strerror(errno)};
  StartedWorker started;
  started.exec_failure = std::move(failure->parent);
  started.control = std::move(ends->first);
  const UniqueFd theirs = std::move(ends->second);
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
  if (started.pid == 0) become_worker(inherited, arguments, failure->child.get());
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (started.pid < 0) return Error{std::string("cannot start: ") + std::strerror(errno)};
  return started;
}

WorkerControl::WorkerControl(Loop& loop, UniqueFd control, std::function<void()> ready)
    : control_(std::move(control)), ready_(std::move(ready)), poller_(loop, control_.get(), *this) {
  poller_.watch(true, false);
}

void WorkerControl::serve() { send_serve(control_.get()); }

void WorkerControl::take_clients(UniqueFd channel) { send_take_clients(control_.get(), channel.get()); }

void WorkerControl::hand_over(const std::vector<bool>& leaves, UniqueFd channel) {
  send_hand_over(control_.get(), leaves, channel.get());
}

void WorkerControl::dismiss() { shutdown(control_.get(), SHUT_WR); }

void WorkerControl::on_poll(bool, bool) noexcept {
  const ControlMessage::Kind kind = receive_control(control_.get()).kind;
  if (kind != ControlMessage::Kind::ready && kind != ControlMessage::Kind::end) return;
  poller_.watch(false, false);        // the worker says no more; its end shows in SIGCHLD
  shutdown(control_.get(), SHUT_RD);  // one that runs wild fills no memory and leaves no descriptors here
  if (kind == ControlMessage::Kind::ready) ready_();
}

}  // namespace dotrelay
