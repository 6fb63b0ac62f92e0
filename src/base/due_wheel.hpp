// Slab objects by the time at which each is due: entering and leaving cost O(1) and allocate nothing. For times at most
// kHorizon ahead, in whole milliseconds, rounded up. While others are overdue by more than a slot's time, as after a
// gap of the clock, an object may be due early.
#pragma once

#include "base/clock.hpp"
#include "base/linked_list.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace dotrelay {

/// The hook that a member carries.
template <class T>
struct DueHook {
  static constexpr std::uint16_t kNowhere = std::numeric_limits<std::uint16_t>::max();

  ListHook<T> in_slot;
  std::uint16_t slot = kNowhere;
};

template <class T, DueHook<T> T::*kHook>
class DueWheel {
 public:
  static constexpr std::size_t kSlots = 1024;
  static constexpr Duration kHorizon = std::chrono::milliseconds(kSlots - 1);

  explicit DueWheel(Slab<T>& slab) : slab_(slab), front_(kSlots) {}

  /// Enters the object, which must not be in, for `when`: not before `now`, and at most kHorizon after it.
  void add(Handle<T> object, TimePoint when, TimePoint now) {
    std::int64_t tick = std::clamp(tick_of(when), floor_tick(now), floor_tick(now) + std::int64_t{kSlots - 1});
    if (size_++ == 0) oldest_ = tick;
    oldest_ = std::min(oldest_, tick);
    tick = std::min(tick, oldest_ + std::int64_t{kSlots - 1});
    const std::size_t slot = slot_of(tick);
    DueHook<T>& hook = slab_.get(object).*kHook;
    assert(hook.slot == DueHook<T>::kNowhere);
    hook.slot = static_cast<std::uint16_t>(slot);
    hook.in_slot.previous = {};
    hook.in_slot.next = front_[slot];
    hook.in_slot.linked = true;
    if (front_[slot]) (slab_.get(front_[slot]).*kHook).in_slot.previous = object;
    front_[slot] = object;
    occupied_[slot / 64] |= std::uint64_t{1} << slot % 64;
  }

  /// Does nothing for an object that is not in.
  void remove(Handle<T> object) {
    DueHook<T>& hook = slab_.get(object).*kHook;
    const std::size_t slot = hook.slot;
    if (slot == DueHook<T>::kNowhere) return;
    const Handle<T> previous = hook.in_slot.previous;
    const Handle<T> next = hook.in_slot.next;
    if (next) (slab_.get(next).*kHook).in_slot.previous = previous;
    if (previous) {
      (slab_.get(previous).*kHook).in_slot.next = next;
    } else {
      front_[slot] = next;
      if (!next) occupied_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
    }
    hook = {};
    --size_;
  }

  [[nodiscard]] bool contains(Handle<T> object) const {
    return (slab_.get(object).*kHook).slot != DueHook<T>::kNowhere;
  }

  /// When the next object is due; kNever when there is none.
  [[nodiscard]] TimePoint next() {
    if (size_ == 0) return kNever;
    advance_to_occupied();
    return TimePoint(std::chrono::milliseconds(oldest_));
  }

  /// An object that is due, or none. It stays in until it is removed.
  [[nodiscard]] Handle<T> due(TimePoint now) {
    if (size_ == 0) return {};
    advance_to_occupied();
    return oldest_ <= floor_tick(now) ? front_[slot_of(oldest_)] : Handle<T>{};
  }

 private:
  static std::int64_t tick_of(TimePoint when) {
    return std::chrono::ceil<std::chrono::milliseconds>(when.time_since_epoch()).count();
  }
  static std::int64_t floor_tick(TimePoint when) {
    return std::chrono::floor<std::chrono::milliseconds>(when.time_since_epoch()).count();
  }
  static std::size_t slot_of(std::int64_t tick) { return static_cast<std::size_t>(tick) % kSlots; }

  // No object is older than oldest_, and all are within kSlots of it, so the next occupied slot holds the next ones.
  void advance_to_occupied() {
    for (;;) {
      const std::size_t slot = slot_of(oldest_);
      const std::uint64_t rest = occupied_[slot / 64] >> slot % 64;
      if (rest != 0) {
        oldest_ += std::countr_zero(rest);
        return;
      }
      oldest_ += static_cast<std::int64_t>(64 - slot % 64);
    }
  }

  Slab<T>& slab_;
  std::vector<Handle<T>> front_;
  std::array<std::uint64_t, kSlots / 64> occupied_{};
  std::int64_t oldest_ = 0;  ///< tick before which no slot is occupied
  std::size_t size_ = 0;
};

}  // namespace dotrelay
