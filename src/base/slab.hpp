// Objects addressed by an index with a generation. A handle that outlives its object finds nothing, so late callbacks
// need no shared ownership. Objects never move while they live.
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace dotrelay {

/// Names an object of a Slab<Tag>. The default handle names nothing.
template <class Tag>
struct Handle {
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t index = kNone;
  std::uint32_t generation = 0;

  explicit operator bool() const { return index != kNone; }
  friend bool operator==(const Handle&, const Handle&) = default;
};

template <class T>
class Slab {
 public:
  using HandleType = Handle<T>;

  template <class... Arguments>
  HandleType emplace(Arguments&&... arguments) {
    std::uint32_t index;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[index];
    slot.object.emplace(std::forward<Arguments>(arguments)...);
    ++size_;
    return {index, slot.generation};
  }

  /// The object, or nullptr when it is gone. Valid until erase() of this handle.
  T* find(HandleType handle) {
    if (handle.index >= slots_.size()) return nullptr;
    Slot& slot = slots_[handle.index];
    return slot.generation == handle.generation && slot.object ? &*slot.object : nullptr;
  }

  const T* find(HandleType handle) const { return const_cast<Slab*>(this)->find(handle); }
  const T& get(HandleType handle) const { return const_cast<Slab*>(this)->get(handle); }

  T& get(HandleType handle) {
    T* object = find(handle);
    assert(object != nullptr);
    return *object;
  }

  /// Destroys the object; its handles find nothing from now on.
  void erase(HandleType handle) {
    assert(find(handle) != nullptr);
    Slot& slot = slots_[handle.index];
    ++slot.generation;
    slot.object.reset();
    free_.push_back(handle.index);
    --size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// Calls visit(handle, object) for each living object. visit may erase the object it is given, not others.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t index = 0; index < slots_.size(); ++index) {
      Slot& slot = slots_[index];
      if (slot.object) visit(HandleType{index, slot.generation}, *slot.object);
    }
  }

 private:
  struct Slot {
    std::optional<T> object;
    std::uint32_t generation = 0;
  };

  std::deque<Slot> slots_;  // a deque: growing must not move objects
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace dotrelay
