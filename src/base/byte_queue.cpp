// See byte_queue.hpp.
#include "base/byte_queue.hpp"

#include <algorithm>

namespace dotrelay {

void ByteQueue::shrink(std::size_t kept_bytes) {
  assert(empty());
  if (capacity_ <= kept_bytes) return;
  storage_.reset();
  capacity_ = 0;
}

// The rest moves to the front when the consumed part is a quarter of it at least: each octet is copied four times at
// most. Else the memory grows: it doubles, but what is long takes an eighth more than it needs, so that limits in
// octets are limits of memory.
void ByteQueue::make_room(std::size_t count) {
  constexpr std::size_t kLeast = 64;
  constexpr std::size_t kLong = std::size_t{16} * 1024;
  const std::size_t needed = size() + count;
  if (needed <= capacity_ && begin_ >= size() / 4) {
    std::memmove(storage_.get(), storage_.get() + begin_, size());
  } else {
    const std::size_t capacity = needed > kLong ? needed + needed / 8 : std::max({kLeast, 2 * capacity_, needed});
    auto storage = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
    if (!empty()) std::memcpy(storage.get(), storage_.get() + begin_, size());
    storage_ = std::move(storage);
    capacity_ = capacity;
  }
  end_ -= begin_;
  begin_ = 0;
}

}  // namespace dotrelay
