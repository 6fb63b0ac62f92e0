// A first-in first-out run of octets that stays contiguous, for what waits to be read or written on a stream. It does
// not limit itself: its owner compares size() with a named limit before appending.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <vector>

namespace dotrelay {

class ByteQueue {
 public:
  [[nodiscard]] bool empty() const { return begin_ == storage_.size(); }
  [[nodiscard]] std::size_t size() const { return storage_.size() - begin_; }

  /// What it occupies: at most half as much again as size() once that is large.
  [[nodiscard]] std::size_t memory_bytes() const { return storage_.capacity(); }

  /// All queued octets. Valid until the next call that is not const.
  [[nodiscard]] Bytes bytes() const { return Bytes(storage_).subspan(begin_); }
  [[nodiscard]] MutableBytes mutable_bytes() { return MutableBytes(storage_).subspan(begin_); }

  void append(Bytes octets);

  /// Makes room for `count` octets at the end and returns it to be filled; give back what was not used with trim().
  MutableBytes extend(std::size_t count);
  void trim(std::size_t count);

  /// Removes from the front. `count` must not exceed size().
  void consume(std::size_t count);
  void clear() { consume(size()); }

  /// Gives the memory of an empty queue back when it is more than `kept_bytes`.
  void shrink(std::size_t kept_bytes);

 private:
  void compact();
  void make_room(std::size_t count);

  std::vector<std::uint8_t> storage_;
  std::size_t begin_ = 0;
};

}  // namespace dotrelay
