// The libuv handles with which a loop polls descriptors, kept by descriptor number: for a new handle libuv asks the
// kernel four times, and a closed one lives on until the end of the turn, while numbers of closed descriptors come
// again soon. A private part of loop.cpp and handles.cpp.
#pragma once

#include "net/handles.hpp"

#include <uv.h>
#include <vector>

namespace dotrelay {

struct PollEntry {
  uv_poll_t handle{};
  Poller* owner = nullptr;  ///< nullptr: no owner polls the descriptor
};

class PollHandles {
 public:
  explicit PollHandles(uv_loop_t* loop) : loop_(loop) {}
  PollHandles(const PollHandles&) = delete;
  PollHandles& operator=(const PollHandles&) = delete;
  /// The loop must run once more to let go of them.
  ~PollHandles();

  /// The handle for the descriptor, which is open and non-blocking; no other owner polls it through this loop.
  PollEntry& of(int fd);

 private:
  uv_loop_t* loop_;
  std::vector<PollEntry*> by_fd_;
};

}  // namespace dotrelay
