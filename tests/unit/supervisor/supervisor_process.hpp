// A supervisor in a process of its own, because it takes the process: its signals, its children and its standard error.
// Its workers are scripted (scripted_worker.hpp). A test sends it signals and reads its log line by line.
#pragma once

#include "supervisor/free_address.hpp"
#include "supervisor/run_supervisor.hpp"
#include "supervisor/scripted_worker.hpp"
#include "supervisor/temporary_folder.hpp"

#include <csignal>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sstream>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace dotrelay::test {

class SupervisorProcess {
 public:
  SupervisorProcess() { REQUIRE(mkfifo(gate_of(config_file()).c_str(), 0600) == 0); }
  SupervisorProcess(const SupervisorProcess&) = delete;
  SupervisorProcess& operator=(const SupervisorProcess&) = delete;
  ~SupervisorProcess() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] std::string config_file() const { return folder_ / "relay.toml"; }

  /// A good configuration with this script before it.
  void configure(const std::string& script, unsigned workers = 2) const {
    write_file(config_file(), script + "\n[listen]\naddresses = [\"" + address_.to_text() +
                                  "\"]\nworkers = " + std::to_string(workers) +
                                  "\n[[upstream]]\nname = \"one\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.test\"\n"
                                  "pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]\n");
  }

  void run() {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    output_ = UniqueFd(ends[0]);
    const UniqueFd theirs(ends[1]);
    SupervisorOptions options;
    options.config_file = config_file();
    options.version = "of the test";
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(theirs.get(), STDERR_FILENO);
    _exit(run_supervisor(options));
  }

  /// Runs it with two workers until they are ready.
  void run_ready(const std::string& script = "# workers: as=old ready") {
    configure(script);
    run();
    REQUIRE(logs("ready: 2 workers"));
  }

  void send(int signal_number) const { REQUIRE(kill(pid_, signal_number) == 0); }
  void reload(const std::string& script) const {
    configure(script);
    send(SIGHUP);
  }
  /// All signals that it was sent before are dispatched. Takes half of the lines that a log may have in a second.
  bool notices_signals() {
    send(SIGUSR1);
    return logs("so far: ");
  }

  /// Reads the log until a line that has the text; what came before is skipped. False when it does not come.
  bool logs(const std::string& text) {
    const TimePoint limit = Clock::now() + kPatience;
    for (std::optional<std::string> line; (line = next_line(limit));) {
      if (line->find(text) != std::string::npos) return true;
    }
    MESSAGE("not logged: " << text << "\n" << log_);
    return false;
  }

  /// Until a line of the diary begins so.
  [[nodiscard]] bool notes(const std::string& text) const {
    return in_time([&] { return ("\n" + diary()).find("\n" + text) != std::string::npos; });
  }
  [[nodiscard]] std::string diary() const { return content_of(diary_of(config_file())); }

  /// Of the latest worker with this name and number, from the diary.
  [[nodiscard]] pid_t pid_of(const std::string& worker) const {
    pid_t pid = 0;
    std::istringstream lines(diary());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(worker + " start ")) pid = std::stoi(line.substr(worker.size() + 7));
    }
    return pid;
  }

  /// Whether the process ends, and is reaped.
  static bool ends(pid_t pid) {
    return in_time([pid] { return kill(pid, 0) != 0; });
  }

  /// The exit status; nothing when it does not end in time, or not by itself.
  std::optional<int> exit_status() {
    while (next_line(Clock::now() + kPatience)) {
    }
    int status = 0;
    if (!in_time([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) return std::nullopt;
    pid_ = 0;
    return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
  }
  std::optional<int> stop() {
    send(SIGTERM);
    return exit_status();
  }

  [[nodiscard]] UniqueFd open_gate() const {
    return UniqueFd(open(gate_of(config_file()).c_str(), O_RDWR | O_CLOEXEC));
  }
  /// What has been read of it.
  [[nodiscard]] const std::string& log() const { return log_; }
  [[nodiscard]] const Endpoint& address() const { return address_; }

 private:
  static constexpr Duration kPatience = std::chrono::seconds(30);

  template <class Condition>
  static bool in_time(Condition condition) {
    for (const TimePoint limit = Clock::now() + kPatience; Clock::now() < limit; std::this_thread::yield()) {
      if (condition()) return true;
    }
    return condition();
  }

  /// Nothing at the end of the log, or when none has come by then.
  std::optional<std::string> next_line(TimePoint limit) {
    for (;;) {
      if (const std::size_t end = log_.find('\n', read_); end != std::string::npos) {
        const std::size_t begin = std::exchange(read_, end + 1);
        return log_.substr(begin, end - begin);
      }
      pollfd output{output_.get(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now()).count();
      if (left <= 0 || poll(&output, 1, static_cast<int>(left)) <= 0) return std::nullopt;
      char buffer[4096];
      const ssize_t size = read(output_.get(), buffer, sizeof buffer);
      if (size <= 0) return std::nullopt;
      log_.append(buffer, static_cast<std::size_t>(size));
    }
  }

  TemporaryFolder folder_;
  Endpoint address_ = free_address();
  pid_t pid_ = 0;
  UniqueFd output_;
  std::string log_;
  std::size_t read_ = 0;
};

}  // namespace dotrelay::test
