// Generations whose workers are scripted (scripted_worker.hpp), on a loop that a test drives until what it waits for
// has come. Plays the supervisor: it reaps, and notes what it is told.
#pragma once

#include "base/recorded_log.hpp"
#include "process/memory_text.hpp"
#include "supervisor/free_address.hpp"
#include "supervisor/generation.hpp"
#include "supervisor/scripted_worker.hpp"
#include "supervisor/temporary_folder.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <vector>

namespace dotrelay::test {

class GenerationFixture : public Generation::Listener {
 public:
  GenerationFixture() { REQUIRE(mkfifo(gate_of(config_file()).c_str(), 0600) == 0); }
  GenerationFixture(const GenerationFixture&) = delete;
  GenerationFixture& operator=(const GenerationFixture&) = delete;
  ~GenerationFixture() override {
    for (const auto& generation : generations_) generation->kill_all();
    int status = 0;
    for (pid_t pid; !all_ended() && (pid = waitpid(-1, &status, 0)) > 0;) offer(pid, status);
  }

 protected:
  using Stage = Generation::Stage;

  [[nodiscard]] std::string config_file() const { return folder_ / "relay.toml"; }
  [[nodiscard]] std::string diary() const { return content_of(diary_of(config_file())); }
  [[nodiscard]] std::string logged() const { return log_.text(); }

  GenerationParts make_parts(const std::string& script, std::uint32_t workers, const std::vector<Endpoint>& addresses) {
    GenerationParts parts;
    parts.config.listen = listen_on(addresses);
    parts.config_file = config_file();
    parts.config_memory = std::move(*into_memory(script));
    parts.shared.emplace(std::move(*SharedState::create(workers, 0)));
    parts.sockets = std::move(*sockets_.lease(parts.config.listen, workers));
    REQUIRE(sockets_.join(parts.sockets));
    parts.mailboxes = std::move(*make_mailboxes(workers));
    return parts;
  }

  /// Not started yet. It lives as long as the fixture.
  Generation& make(GenerationParts parts, Stage stage = Stage::serving) {
    generations_.push_back(std::make_unique<Generation>(loop_, *this, log_, std::move(parts), stage));
    return *generations_.back();
  }
  Generation& make(const std::string& script, std::uint32_t workers, Stage stage = Stage::serving) {
    return make(make_parts(script, workers, {free_address()}), stage);
  }
  Generation& start(const std::string& script, std::uint32_t workers, Stage stage = Stage::serving) {
    Generation& generation = make(script, workers, stage);
    generation.start();
    return generation;
  }

  /// Drives the loop until the condition holds; false when it does not in time.
  template <class Condition>
  bool until(Condition condition) {
    const TimePoint limit = Clock::now() + kPatience;
    Timer tick(loop_, [&] {
      reap();
      if (condition() || Clock::now() > limit) loop_.stop();
    });
    tick.repeat(std::chrono::milliseconds(1));
    loop_.run();
    return condition();
  }
  bool until_ready(const Generation& generation, std::size_t workers) {
    return until([&] { return generation.ready_workers() == workers; });
  }
  bool until_noted(const std::string& line) {
    return until([&] { return diary().find(line + "\n") != std::string::npos; });
  }

  /// Kills a worker and has its generation notice, all in one turn of the loop.
  void kill_worker(pid_t pid) {
    int status = 0;
    REQUIRE(kill(pid, SIGKILL) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    offer(pid, status);
  }

  [[nodiscard]] UniqueFd open_gate() const {
    return UniqueFd(open(gate_of(config_file()).c_str(), O_RDWR | O_CLOEXEC));
  }

  /// PID of each running worker.
  static std::vector<pid_t> pids(const Generation& generation) {
    std::vector<pid_t> pids;
    for (const Generation::RunningWorker& worker : generation.running_workers()) pids.push_back(worker.pid);
    return pids;
  }

  ListenSockets& sockets() { return sockets_; }
  int times_ready() const { return times_ready_; }
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  static constexpr Duration kPatience = std::chrono::seconds(30);

  void on_ready(Generation&) override { ++times_ready_; }
  void on_failed(Generation&, const std::string& why) override { failures_.push_back(why); }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) offer(pid, status);
  }
  void offer(pid_t pid, int status) {
    for (const auto& generation : generations_) generation->reap(pid, status);
  }
  bool all_ended() const {
    return std::ranges::all_of(generations_, [](const auto& generation) { return generation->ended(); });
  }

  TemporaryFolder folder_;
  RecordedLog log_{LogLevel::debug, "supervisor"};
  ListenSockets sockets_;
  Loop loop_;
  std::vector<std::unique_ptr<Generation>> generations_;
  int times_ready_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace dotrelay::test
