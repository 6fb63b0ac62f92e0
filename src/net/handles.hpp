// Owners of libuv handles: timer, signal and poll. Each is a pointer to a heap block that holds the libuv handle; the
// block outlives its owner until libuv has closed it, and a block without owner calls nobody.
#pragma once

#include "base/clock.hpp"
#include "net/loop.hpp"

#include <functional>

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

class PollListener {
 public:
  virtual ~PollListener() = default;

  /// The descriptor is ready. An error on it reads as ready for both; the next system call tells. May destroy the
  /// poller.
  virtual void on_poll(bool readable, bool writable) noexcept = 0;
};

class Poller {
 public:
  /// `fd` stays open as long as the poller lives and becomes non-blocking.
  Poller(Loop& loop, int fd, PollListener& listener);
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  /// Level-triggered interest. Costs nothing when unchanged.
  void watch(bool readable, bool writable);

 private:
  struct Block;
  Block* block_;
};

}  // namespace dotrelay
