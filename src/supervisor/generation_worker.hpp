// One worker of a generation, as the supervisor knows it: whether it runs, and what its ends so far mean for the next
// start. What to do about it is the generation's business.
#pragma once

#include "base/clock.hpp"
#include "net/handles.hpp"
#include "supervisor/worker_process.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

namespace dotrelay {

class GenerationWorker {
 public:
  enum class State : std::uint8_t {
    idle,      ///< no process runs
    starting,  ///< one runs and is not ready
    ready,
    given_up,  ///< it does not start: no process, and there will be none
  };

  /// Starts in a row that failed before the worker was ready. Then its sockets are closed, so that the kernel gives its
  /// share of the clients to the others instead of a black hole.
  static constexpr int kMaxFailedStarts = 5;
  static constexpr Duration kFirstRestartDelay = std::chrono::milliseconds(100);

  /// A worker that ends so soon after it was ready has ended at once. The first one is replaced without delay, as all
  /// are that lived longer; each of the next ones that end at once waits longer, so that they do not take a CPU for
  /// nothing.
  static constexpr Duration kAtOnce = std::chrono::milliseconds(100);
  static constexpr Duration kFirstReplacementDelay = std::chrono::milliseconds(50);
  static constexpr Duration kLongestReplacementDelay = std::chrono::seconds(1);

  /// `restart` starts a process for it, when restart_at() says so.
  GenerationWorker(std::uint32_t number, Loop& loop, std::function<void(GenerationWorker&)> restart)
      : number_(number), restart_(loop, [this, restart = std::move(restart)] { restart(*this); }) {}

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] std::string name() const { return "worker " + std::to_string(number_); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool runs() const { return control_ != nullptr; }
  [[nodiscard]] pid_t pid() const { return pid_; }  ///< 0 when none runs
  [[nodiscard]] WorkerControl& control() { return *control_; }
  [[nodiscard]] const WorkerControl& control() const { return *control_; }

  /// A process has been started.
  void begin(pid_t pid, UniqueFd exec_failure, std::unique_ptr<WorkerControl> control);
  /// A process runs already, and is ready. `has_heartbeat`: it writes to memory of this version.
  void adopt(pid_t pid, std::unique_ptr<WorkerControl> control, bool has_heartbeat);
  void become_ready(TimePoint now);
  void give_up() { state_ = State::given_up; }

  struct End {
    bool was_ready = false;
    std::optional<std::string> exec_failure;  ///< why the process could not execute the program
  };
  /// The process has ended.
  End end();
  /// How long its replacement must wait. To be called once for each end of a worker that was ready.
  Duration replacement_delay(TimePoint now);
  /// The same after a start that has failed; none when there were too many.
  std::optional<Duration> retry_delay();

  void restart_at(TimePoint when) { restart_.set(when); }

  /// The number in a row of heartbeats that it has missed. One that is not ready misses all: it has its time for all of
  /// its start, also when its loop turns. 0 for one that has none.
  int note_heartbeat(std::uint32_t heartbeat);
  void forgive_heartbeats() { missed_heartbeats_ = 0; }

 private:
  std::uint32_t number_;
  Timer restart_;
  State state_ = State::idle;
  pid_t pid_ = 0;
  std::unique_ptr<WorkerControl> control_;
  UniqueFd exec_failure_;  ///< until it is ready
  TimePoint ready_since_{};
  int failed_starts_ = 0;
  int ends_at_once_ = 0;  ///< in a row, of those that were ready
  bool has_heartbeat_ = true;
  std::uint32_t last_heartbeat_ = 0;
  int missed_heartbeats_ = 0;
};

}  // namespace dotrelay
