// What was read of TCP clients in this turn and not taken yet. All of it is taken in one go: the way of a query through
// the relay then stays in the processor's caches, from which each system call would drive it.
#pragma once

#include "base/bytes.hpp"
#include "base/slab.hpp"

#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

namespace dotrelay {

class TcpSession;

class Arrivals {
 public:
  /// For all clients of a turn, and what one read has at least.
  static constexpr std::size_t kRoom = std::size_t{64} * 1024;
  static constexpr std::size_t kLeastRoom = std::size_t{16} * 1024;

  [[nodiscard]] bool empty() const { return arrivals_.empty(); }
  /// What has arrived has to be taken before more is read.
  [[nodiscard]] bool full() const { return kRoom - used_ < kLeastRoom; }

  /// Where to read to. Only when not full().
  MutableBytes room() {
    assert(!full());
    return {room_.get() + used_, kRoom - used_};
  }

  /// `octets` at the beginning of room() came from `session`.
  void add(Handle<TcpSession> session, std::size_t octets) {
    assert(octets <= kRoom - used_);
    arrivals_.push_back({session, {room_.get() + used_, octets}});
    used_ += octets;
  }

  /// Calls take(session, octets) for each in the order in which they came, and forgets them. take must not add any.
  template <class Take>
  void take_all(Take&& take) {
    for (const Arrival& arrival : arrivals_) take(arrival.session, arrival.octets);
    arrivals_.clear();
    used_ = 0;
  }

 private:
  struct Arrival {
    Handle<TcpSession> session;
    Bytes octets;
  };

  std::unique_ptr<std::uint8_t[]> room_ = std::make_unique_for_overwrite<std::uint8_t[]>(kRoom);
  std::size_t used_ = 0;
  std::vector<Arrival> arrivals_;
};

}  // namespace dotrelay
