// The memory that supervisor and workers share: each worker has a slot that only it writes. It is a sealed-size memfd,
// so nothing stays behind when the processes end, and its header lets a worker refuse memory of another version.
#pragma once

#include "base/result.hpp"
#include "metrics/counters.hpp"
#include "net/unique_fd.hpp"

#include <atomic>
#include <cstdint>

namespace dotrelay {

struct alignas(64) WorkerSlot {
  /// Grows while the worker's loop turns. Compared by the supervisor with what it saw before, never with a clock: then
  /// a machine that slept as a whole accuses nobody.
  std::atomic<std::uint32_t> heartbeat;
  Counters counters;
};

class SharedState {
 public:
  /// Memory for `workers` slots, all zero.
  static Result<SharedState> create(std::uint32_t workers);
  /// Maps memory made by create() in another process of the same program.
  static Result<SharedState> map(UniqueFd fd);

  SharedState(SharedState&& other) noexcept;
  SharedState& operator=(SharedState&&) = delete;
  ~SharedState();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint32_t workers() const;
  WorkerSlot& slot(std::uint32_t index);

 private:
  struct Layout;
  SharedState(UniqueFd fd, Layout* layout, std::size_t size) : fd_(std::move(fd)), layout_(layout), size_(size) {}

  UniqueFd fd_;
  Layout* layout_;
  std::size_t size_;
};

}  // namespace dotrelay
