// Starting a worker as a process of its own, and speaking to it.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "net/handles.hpp"
#include "process/inheritance.hpp"

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dotrelay {

struct StartedWorker {
  pid_t pid = 0;
  UniqueFd control;       ///< the supervisor's end; closing it makes the worker drain and exit
  UniqueFd exec_failure;  ///< the parent's end of an ExecFailure
};

/// Executes this program again (/proc/self/exe) as the worker that `inheritance` describes. Only the descriptors named
/// there survive; its control descriptor is made here. exec rather than fork alone: no state of a random number
/// generator or of TLS is ever copied.
Result<StartedWorker> start_worker(Inheritance inheritance, const std::string& config_file);

/// The supervisor's end of a worker's control socket. A worker that hangs loses messages; it is killed anyway.
class WorkerControl final : private PollListener {
 public:
  /// `ready` is called once, when the worker says so.
  WorkerControl(Loop& loop, UniqueFd control, std::function<void()> ready);

  /// Has the worker read its listeners; before that it only gets ready.
  void serve();

  /// Has the worker take on the clients that come through the channel.
  void take_clients(UniqueFd channel);

  /// Has the worker give up its listeners (leaving the port of those marked), pass its clients on through the channel,
  /// and exit.
  void hand_over(const std::vector<bool>& leaves, UniqueFd channel);

  /// Tells the worker to drain and exit without a successor, as it also does when the supervisor is gone.
  void dismiss();

  [[nodiscard]] int fd() const { return control_.get(); }

 private:
  void on_poll(bool readable, bool writable) noexcept override;

  UniqueFd control_;
  std::function<void()> ready_;
  Poller poller_;
};

}  // namespace dotrelay
