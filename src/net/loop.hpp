// The event loop of a process: libuv's, with the end of each turn as an event of its own, at which everything that was
// collected during the turn leaves in one system call per socket.
#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"

#include <cassert>
#include <functional>
#include <memory>
#include <vector>

struct uv_loop_s;

namespace dotrelay {

class Loop;
class PollHandles;

/// Something with output to flush at the end of a turn. Leaves the queue when destroyed.
class FlushTarget {
 public:
  FlushTarget() = default;
  FlushTarget(const FlushTarget&) = delete;
  FlushTarget& operator=(const FlushTarget&) = delete;
  virtual ~FlushTarget();

  /// May destroy this object.
  virtual void flush() noexcept = 0;

 private:
  friend class Loop;
  Loop* queued_at_ = nullptr;
  std::size_t position_ = 0;
};

class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// All handles made on the loop must be gone.
  ~Loop();

  /// Runs until stop().
  void run();
  void stop();

  /// The time, looked at once a turn: callbacks of one turn live in the same moment.
  TimePoint now() {
    if (now_ == TimePoint{}) now_ = Clock::now();
    return now_;
  }

  /// The number of the turn; it ends when its flushes are done. It comes again after years.
  [[nodiscard]] std::uint32_t turn() const { return turn_; }

  /// Has target.flush() called once at the end of this turn.
  void flush_at_turn_end(FlushTarget& target);

  /// Called at the end of each turn, before the flushes. There is one such hook.
  void before_flushes(std::function<void()> hook) {
    assert(!arrivals_hook_);
    arrivals_hook_ = std::move(hook);
  }

  /// Called at the end of each turn, after the flushes.
  void on_turn_end(std::function<void()> hook) { turn_hook_ = std::move(hook); }

  /// A buffer for one read; its content does not survive what the reader calls.
  MutableBytes scratch() { return scratch_; }

  uv_loop_s* raw() { return loop_.get(); }
  PollHandles& poll_handles() { return *poll_handles_; }

 private:
  friend class FlushTarget;
  struct Prepare;

  void end_turn();

  std::unique_ptr<uv_loop_s> loop_;
  Prepare* prepare_;
  std::unique_ptr<PollHandles> poll_handles_;
  std::vector<FlushTarget*> flush_queue_;  // nullptr where a target has gone
  std::function<void()> arrivals_hook_;
  std::function<void()> turn_hook_;
  TimePoint now_{};  ///< none: not looked at yet
  std::uint32_t turn_ = 0;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace dotrelay
