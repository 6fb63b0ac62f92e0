// A doubly linked list through slab objects. Entering at the back and leaving from anywhere cost O(1) and allocate
// nothing, which makes it the queue for deadlines of one constant length: the front is always the next to pass.
#pragma once

#include "base/slab.hpp"

#include <cassert>

namespace dotrelay {

/// The hook that a member of a list carries.
template <class T>
struct ListHook {
  Handle<T> previous;
  Handle<T> next;
  bool linked = false;
};

template <class T, ListHook<T> T::*kHook>
class LinkedList {
 public:
  explicit LinkedList(Slab<T>& slab) : slab_(slab) {}

  [[nodiscard]] bool empty() const { return !front_; }
  [[nodiscard]] Handle<T> front() const { return front_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  /// The member behind `member`, or none at the end.
  [[nodiscard]] Handle<T> next(Handle<T> member) const { return (slab_.get(member).*kHook).next; }

  void push_back(Handle<T> member) {
    ListHook<T>& hook = slab_.get(member).*kHook;
    assert(!hook.linked);
    // Not as one value: the processor would wait for its parts to be written before it can copy them.
    hook.previous = back_;
    hook.next = {};
    hook.linked = true;
    if (back_) {
      (slab_.get(back_).*kHook).next = member;
    } else {
      front_ = member;
    }
    back_ = member;
    ++size_;
  }

  /// Takes the member out; does nothing when it is not linked.
  [[gnu::always_inline]] void remove(Handle<T> member) {
    ListHook<T>& hook = slab_.get(member).*kHook;
    if (!hook.linked) return;
    if (hook.previous) {
      (slab_.get(hook.previous).*kHook).next = hook.next;
    } else {
      front_ = hook.next;
    }
    if (hook.next) {
      (slab_.get(hook.next).*kHook).previous = hook.previous;
    } else {
      back_ = hook.previous;
    }
    hook = {};
    --size_;
  }

 private:
  Slab<T>& slab_;
  Handle<T> front_;
  Handle<T> back_;
  std::size_t size_ = 0;
};

}  // namespace dotrelay
