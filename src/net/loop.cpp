// See loop.hpp.
#include "net/loop.hpp"

#include "net/poll_handles.hpp"

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <uv.h>

namespace dotrelay {
namespace {

constexpr std::size_t kScratchBytes = 64 * 1024;

}  // namespace

struct Loop::Prepare {
  uv_prepare_t handle;
};

FlushTarget::~FlushTarget() {
  if (queued_at_ != nullptr) queued_at_->flush_queue_[position_] = nullptr;
}

Loop::Loop() : loop_(std::make_unique<uv_loop_t>()), prepare_(new Prepare), scratch_(kScratchBytes) {
  if (const int error = uv_loop_init(loop_.get()); error != 0) {  // nothing can run
    std::fprintf(stderr, "dotrelay: cannot make an event loop: %s\n", uv_strerror(error));
    std::_Exit(EXIT_FAILURE);
  }
  poll_handles_ = std::make_unique<PollHandles>(loop_.get());
  uv_prepare_init(loop_.get(), &prepare_->handle);
  prepare_->handle.data = this;
  // Prepare comes right before the loop sleeps: everything that timers and sockets caused in this turn has happened.
  uv_prepare_start(&prepare_->handle, [](uv_prepare_t* handle) { static_cast<Loop*>(handle->data)->end_turn(); });
}

Loop::~Loop() {
  poll_handles_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_->handle),
           [](uv_handle_t* handle) { delete reinterpret_cast<Prepare*>(handle); });
  uv_run(loop_.get(), UV_RUN_DEFAULT);
  [[maybe_unused]] const int busy = uv_loop_close(loop_.get());
  assert(busy == 0);
}

void Loop::run() { uv_run(loop_.get(), UV_RUN_DEFAULT); }

void Loop::stop() { uv_stop(loop_.get()); }

void Loop::flush_at_turn_end(FlushTarget& target) {
  if (target.queued_at_ != nullptr) return;
  target.queued_at_ = this;
  target.position_ = flush_queue_.size();
  flush_queue_.push_back(&target);
}

// A flush may cause further output, which then leaves in the same turn.
void Loop::end_turn() {
  if (arrivals_hook_) arrivals_hook_();
  for (std::size_t i = 0; i < flush_queue_.size(); ++i) {
    FlushTarget* const target = flush_queue_[i];
    if (target == nullptr) continue;
    target->queued_at_ = nullptr;
    target->flush();
  }
  flush_queue_.clear();
  if (turn_hook_) turn_hook_();
  now_ = {};
  ++turn_;
}

}  // namespace dotrelay
