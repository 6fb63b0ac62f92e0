// Memory for answers on their way to TCP clients. The clients use it in turn: one has a part of it only from the first
// octet that waits to be written until the kernel has taken the last. The budget also counts what no client uses.
#pragma once

#include "base/byte_queue.hpp"
#include "relay/memory_budget.hpp"

#include <utility>
#include <vector>

namespace dotrelay {

class OutputMemory {
 public:
  /// What is kept at most: for those that are answered in one turn.
  static constexpr std::size_t kMaxSpare = 512;
  static constexpr std::size_t kMaxSpareBytes = std::size_t{1024} * 1024;

  /// The budget outlives this object.
  explicit OutputMemory(MemoryBudget& budget) : budget_(budget) { spare_.reserve(kMaxSpare); }
  OutputMemory(const OutputMemory&) = delete;
  OutputMemory& operator=(const OutputMemory&) = delete;
  ~OutputMemory() { budget_.give_back(spare_bytes_); }

  /// Gives the queue, which is empty, memory that others have used, if there is some.
  void lend(ByteQueue& queue) {
    if (spare_.empty() || queue.memory_bytes() > 0) return;
    const std::size_t bytes = spare_.back().memory_bytes();
    spare_bytes_ -= bytes;
    budget_.give_back(bytes);
    queue.swap(spare_.back());
    spare_.pop_back();
  }

  /// Takes the memory of the queue, which is empty, and keeps it as far as the budget allows.
  void take_back(ByteQueue& queue) {
    const std::size_t bytes = queue.memory_bytes();
    if (bytes > 0 && spare_.size() < kMaxSpare && spare_bytes_ + bytes <= kMaxSpareBytes && budget_.take(bytes)) {
      spare_bytes_ += bytes;
      spare_.push_back(std::move(queue));
    }
    queue.shrink(0);
  }

  /// Frees what no client uses. False when there is none.
  bool release() {
    if (spare_bytes_ == 0) return false;
    budget_.give_back(std::exchange(spare_bytes_, 0));
    spare_.clear();
    return true;
  }

  [[nodiscard]] std::size_t spare_bytes() const { return spare_bytes_; }

 private:
  MemoryBudget& budget_;
  std::vector<ByteQueue> spare_;  ///< empty ones with memory
  std::size_t spare_bytes_ = 0;
};

}  // namespace dotrelay
