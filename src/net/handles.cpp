// See handles.hpp.
#include "net/handles.hpp"

#include <algorithm>
#include <cstdlib>
#include <uv.h>

namespace dotrelay {
namespace {

/// Takes the owner off the block and lets libuv close it; the block goes when libuv is done with it.
template <class Block>
void release(Block* block) {
  block->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&block->handle),
           [](uv_handle_t* handle) { delete static_cast<Block*>(handle->data); });
}

void check(int status) {
  if (status != 0) std::abort();  // out of memory or a descriptor that is none: a bug
}

}  // namespace

struct Timer::Block {
  uv_timer_t handle{};
  Timer* owner = nullptr;
  std::function<void()> expired;

  static void fire(uv_timer_t* handle) {
    auto* const block = static_cast<Block*>(handle->data);
    if (block->owner == nullptr) return;
    block->owner->when_ = kNever;
    block->expired();
  }
};

Timer::Timer(Loop& loop, std::function<void()> expired) : block_(new Block) {
  block_->owner = this;
  block_->expired = std::move(expired);
  check(uv_timer_init(loop.raw(), &block_->handle));
  block_->handle.data = block_;
}

Timer::~Timer() { release(block_); }

void Timer::set(TimePoint when) {
  if (when == when_) return;
  when_ = when;
  if (when == kNever) {
    uv_timer_stop(&block_->handle);
    return;
  }
  uv_update_time(block_->handle.loop);
  // Rounded up: waking before the time would only mean waking again.
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now());
  uv_timer_start(&block_->handle, Block::fire, static_cast<std::uint64_t>(std::max<std::int64_t>(0, delay.count())), 0);
}

void Timer::repeat(Duration interval) {
  const auto milliseconds = static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(interval).count());
  uv_timer_start(&block_->handle, Block::fire, milliseconds, milliseconds);
}

struct SignalWatch::Block {
  uv_signal_t handle{};
  SignalWatch* owner = nullptr;
  std::function<void()> raised;
};

SignalWatch::SignalWatch(Loop& loop, int signal_number, std::function<void()> raised) : block_(new Block) {
  block_->owner = this;
  block_->raised = std::move(raised);
  check(uv_signal_init(loop.raw(), &block_->handle));
  block_->handle.data = block_;
  check(uv_signal_start(
      &block_->handle,
      [](uv_signal_t* handle, int) {
        auto* const block = static_cast<Block*>(handle->data);
        if (block->owner != nullptr) block->raised();
      },
      signal_number));
}

SignalWatch::~SignalWatch() { release(block_); }

struct Poller::Block {
  uv_poll_t handle{};
  Poller* owner = nullptr;
  PollListener* listener = nullptr;
  int events = 0;

  static void ready(uv_poll_t* handle, int status, int events) {
    auto* const block = static_cast<Block*>(handle->data);
    if (block->owner == nullptr) return;
    if (status < 0) {
      // libuv has stopped watching; whoever still wants the descriptor says so with watch().
      block->events = 0;
      events = UV_READABLE | UV_WRITABLE;
    }
    block->listener->on_poll((events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
  }
};

Poller::Poller(Loop& loop, int fd, PollListener& listener) : block_(new Block) {
  block_->owner = this;
  block_->listener = &listener;
  check(uv_poll_init(loop.raw(), &block_->handle, fd));
  block_->handle.data = block_;
}

Poller::~Poller() { release(block_); }

void Poller::watch(bool readable, bool writable) {
  const int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  if (events == block_->events) return;
  block_->events = events;
  if (events == 0) {
    uv_poll_stop(&block_->handle);
  } else {
    uv_poll_start(&block_->handle, events, Block::ready);
  }
}

}  // namespace dotrelay
