// A first-in first-out run of octets that stays contiguous, for what waits to be read or written on a stream. It does
// not limit itself: its owner compares size() with a named limit before appending.
#pragma once

#include "base/bytes.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

namespace dotrelay {

class ByteQueue {
 public:
  ByteQueue() = default;
  ByteQueue(ByteQueue&& other) noexcept { swap(other); }
  ByteQueue& operator=(ByteQueue&& other) noexcept {
    swap(other);
    return *this;
  }

  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }

  /// What it occupies: at most half as much again as size() once that is large.
  [[nodiscard]] std::size_t memory_bytes() const { return capacity_; }

  /// All queued octets. Valid until the next call that is not const.
  [[nodiscard]] Bytes bytes() const { return {storage_.get() + begin_, size()}; }
  [[nodiscard]] MutableBytes mutable_bytes() { return {storage_.get() + begin_, size()}; }

  void append(Bytes octets) {
    if (octets.empty()) return;
    std::memcpy(extend(octets.size()).data(), octets.data(), octets.size());
  }

  /// Makes room for `count` octets at the end and returns it to be filled: its content is undefined. Give back what was
  /// not used with trim().
  MutableBytes extend(std::size_t count) {
    if (capacity_ - end_ < count) make_room(count);
    end_ += count;
    return {storage_.get() + end_ - count, count};
  }

  void trim(std::size_t count) {
    assert(count <= size());
    end_ -= count;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  /// Removes from the front. `count` must not exceed size().
  void consume(std::size_t count) {
    assert(count <= size());
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  void clear() { begin_ = end_ = 0; }

  /// Gives the memory of an empty queue back when it is more than `kept_bytes`.
  void shrink(std::size_t kept_bytes);

  void swap(ByteQueue& other) noexcept {
    std::swap(storage_, other.storage_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
  }

 private:
  void make_room(std::size_t count);

  std::unique_ptr<std::uint8_t[]> storage_;  // not a vector, which would clear what it makes room for
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace dotrelay
