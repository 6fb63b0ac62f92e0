// Owners of libuv handles: timer, signal and poll. The libuv handle of a timer or signal is in a heap block that
// outlives its owner until libuv has closed it, and a block without owner calls nothing; that of a poller belongs to
// the loop.
#pragma once

#include "base/clock.hpp"
#include "net/loop.hpp"

#include <functional>

struct uv_poll_s;

namespace dotrelay {

class Timer {
 public:
  /// `expired` may destroy the timer.
  Timer(Loop& loop, std::function<void()> expired);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  /// Fires once at `when`, and not before; replaces an earlier setting. kNever stops it.
  void set(TimePoint when);
  /// Fires every `interval` from now on.
  void repeat(Duration interval);

 private:
  struct Block;
  Block* block_;
  TimePoint when_ = kNever;
};

class SignalWatch {
 public:
  SignalWatch(Loop& loop, int signal_number, std::function<void()> raised);
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();

 private:
  struct Block;
  Block* block_;
};

struct PollEntry;

class PollListener {
 public:
  virtual ~PollListener() = default;

  /// The descriptor is ready. An error on it reads as ready for both; the next system call tells. May destroy the
  /// poller.
  virtual void on_poll(bool readable, bool writable) noexcept = 0;
};

class Poller {
 public:
  /// `fd` is non-blocking and stays open as long as the poller lives. Costs nothing before the first watch().
  Poller(Loop& loop, int fd, PollListener& listener) : loop_(loop), listener_(listener), fd_(fd) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  /// Before the last copy of the descriptor is closed: the kernel then forgets it without being asked.
  void let_kernel_forget();

  /// Level-triggered interest. Costs nothing when unchanged.
  void watch(bool readable, bool writable) {
    const int events = (readable ? kReadable : 0) | (writable ? kWritable : 0);
    if (events != events_) watch(events);
  }

 private:
  static constexpr int kReadable = 1;  // as libuv has them
  static constexpr int kWritable = 2;

  static void ready(uv_poll_s* handle, int status, int events);
  void watch(int events);
  void forget();

  Loop& loop_;
  PollListener& listener_;
  PollEntry* entry_ = nullptr;  ///< while libuv may know of the descriptor
  int fd_;
  int events_ = 0;
  std::uint32_t asked_in_turn_ = 0;  ///< the latest change of interest
};

}  // namespace dotrelay
