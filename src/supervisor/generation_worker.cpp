// See generation_worker.hpp.
#include "supervisor/generation_worker.hpp"

#include "process/exec_failure.hpp"

#include <algorithm>
#include <utility>

namespace dotrelay {

void GenerationWorker::begin(pid_t pid, UniqueFd exec_failure, std::unique_ptr<WorkerControl> control) {
  state_ = State::starting;
  pid_ = pid;
  exec_failure_ = std::move(exec_failure);
  control_ = std::move(control);
  has_heartbeat_ = true;
  missed_heartbeats_ = 0;
}

void GenerationWorker::adopt(pid_t pid, std::unique_ptr<WorkerControl> control, bool has_heartbeat) {
  state_ = State::ready;
  pid_ = pid;
  control_ = std::move(control);
  has_heartbeat_ = has_heartbeat;
}

void GenerationWorker::become_ready(TimePoint now) {
  state_ = State::ready;
  exec_failure_.reset();
  missed_heartbeats_ = 0;
  ready_since_ = now;
  failed_starts_ = 0;
}

GenerationWorker::End GenerationWorker::end() {
  pid_ = 0;
  control_.reset();
  return {std::exchange(state_, State::idle) == State::ready, dotrelay::exec_failure(std::exchange(exec_failure_, {}))};
}

Duration GenerationWorker::replacement_delay(TimePoint now) {
  ends_at_once_ = now - ready_since_ < kAtOnce ? ends_at_once_ + 1 : 0;
  if (ends_at_once_ < 2) return {};
  return std::min<Duration>(kFirstReplacementDelay * (1 << std::min(ends_at_once_ - 2, 10)), kLongestReplacementDelay);
}

std::optional<Duration> GenerationWorker::retry_delay() {
  if (++failed_starts_ >= kMaxFailedStarts) return std::nullopt;
  return kFirstRestartDelay * (1 << failed_starts_);
}

int GenerationWorker::note_heartbeat(std::uint32_t heartbeat) {
  if (!has_heartbeat_) return 0;
  const bool turns = state_ == State::ready && heartbeat != last_heartbeat_;
  missed_heartbeats_ = turns ? 0 : missed_heartbeats_ + 1;
  last_heartbeat_ = heartbeat;
  return missed_heartbeats_;
}

}  // namespace dotrelay
