// See handles.hpp.
#include "net/handles.hpp"

#include "net/poll_handles.hpp"

#include <algorithm>
#include <cassert>
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

PollHandles::~PollHandles() {
  for (PollEntry* const entry : by_fd_) {
    if (entry == nullptr) continue;
    uv_close(reinterpret_cast<uv_handle_t*>(&entry->handle),
             [](uv_handle_t* handle) { delete static_cast<PollEntry*>(handle->data); });
  }
}

PollEntry& PollHandles::of(int fd) {
  const auto number = static_cast<std::size_t>(fd);
  if (number >= by_fd_.size()) by_fd_.resize(number + 1);
  PollEntry*& entry = by_fd_[number];
  if (entry == nullptr) {
    entry = new PollEntry;
    entry->handle.data = entry;
    check(uv_poll_init(loop_, &entry->handle, fd));
  }
  return *entry;
}

void Poller::ready(uv_poll_t* handle, int status, int events) {
  Poller* const owner = static_cast<PollEntry*>(handle->data)->owner;
  if (owner == nullptr) return;
  if (status < 0) {
    // libuv has stopped watching; an owner that still wants the descriptor says so with watch().
    owner->events_ = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  owner->listener_.on_poll((events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
}

Poller::~Poller() { forget(); }

// Stopping also forgets what the kernel has reported of the descriptor in this turn, so that nothing reaches the next
// owner of its number. Each time it costs a system call.
void Poller::forget() {
  if (entry_ == nullptr) return;
  uv_poll_stop(&entry_->handle);
  entry_->owner = nullptr;
  entry_ = nullptr;
}

// For libuv the descriptor stays watched until the next owner of its number starts to; until then nothing but a Poller
// may watch that number on this loop. libuv asks the kernel at the end of the turn, when the descriptor must be open.
void Poller::let_kernel_forget() {
  if (entry_ == nullptr) return;
  if (asked_in_turn_ == loop_.turn()) return forget();
  entry_->owner = nullptr;
  entry_ = nullptr;
}

void Poller::watch(int events) {
  static_assert(kReadable == UV_READABLE && kWritable == UV_WRITABLE);
  events_ = events;
  if (events == 0) return forget();
  if (entry_ == nullptr) {
    entry_ = &loop_.poll_handles().of(fd_);
    assert(entry_->owner == nullptr);
    entry_->owner = this;
  }
  asked_in_turn_ = loop_.turn();
  uv_poll_start(&entry_->handle, events, ready);
}

}  // namespace dotrelay
