// See byte_queue.hpp.
#include "base/byte_queue.hpp"

#include <cassert>

namespace dotrelay {

void ByteQueue::append(Bytes octets) {
  compact();
  make_room(octets.size());
  storage_.insert(storage_.end(), octets.begin(), octets.end());
}

MutableBytes ByteQueue::extend(std::size_t count) {
  compact();
  make_room(count);
  storage_.resize(storage_.size() + count);
  return MutableBytes(storage_).last(count);
}

void ByteQueue::trim(std::size_t count) {
  assert(count <= size());
  storage_.resize(storage_.size() - count);
}

void ByteQueue::consume(std::size_t count) {
  assert(count <= size());
  begin_ += count;
  if (begin_ != storage_.size()) return;
  begin_ = 0;
  storage_.clear();
}

void ByteQueue::shrink(std::size_t kept_bytes) {
  assert(empty());
  begin_ = 0;  // trim() may have met a consumed front
  storage_.clear();
  if (storage_.capacity() > kept_bytes) std::vector<std::uint8_t>().swap(storage_);
}

// A vector doubles; what is long takes an eighth more than it needs, so that limits in octets are limits of memory.
void ByteQueue::make_room(std::size_t count) {
  constexpr std::size_t kLong = std::size_t{16} * 1024;
  const std::size_t needed = storage_.size() + count;
  if (needed > storage_.capacity() && needed > kLong) storage_.reserve(needed + needed / 8);
}

// Moving the rest to the front is paid for by the octets consumed since the last move: at most four copies an octet.
void ByteQueue::compact() {
  if (begin_ == 0 || begin_ < size() / 4) return;
  storage_.erase(storage_.begin(), storage_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
}

}  // namespace dotrelay
