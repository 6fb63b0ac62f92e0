// A sequence of small plain values whose first few have room in the object itself: no allocation in the usual case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace dotrelay {

/// Behaves as a std::vector of the same values, as far as it goes.
template <class T, std::size_t kInline>
class InlineVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  InlineVector() {}
  InlineVector(const InlineVector&) = delete;
  InlineVector& operator=(const InlineVector&) = delete;
  ~InlineVector() = default;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  T* begin() { return data(); }
  T* end() { return data() + size_; }
  [[nodiscard]] const T* begin() const { return data(); }
  [[nodiscard]] const T* end() const { return data() + size_; }
  T& back() { return data()[size_ - 1]; }
  [[nodiscard]] const T& back() const { return data()[size_ - 1]; }

  /// A new value at the end, to be filled in place: copying one that has just been put together field by field stalls
  /// the processor.
  T& emplace_back() {
    if (!more_.empty() || size_ == kInline) {
      if (more_.empty()) more_.assign(begin(), end());
      ++size_;
      return more_.emplace_back();
    }
    return first_[size_++] = T{};
  }

  void push_back(const T& value) { emplace_back() = value; }

  void clear() {
    size_ = 0;
    if (!more_.empty()) more_ = {};
  }

  /// Removes the values for which `unwanted` is true; says how many.
  template <class Predicate>
  std::size_t erase_if(Predicate unwanted) {
    T* const values = data();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (!unwanted(std::as_const(values[i]))) values[kept++] = values[i];
    }
    const std::size_t removed = size_ - kept;
    if (kept == 0) {
      clear();
    } else {
      size_ = static_cast<std::uint32_t>(kept);
      if (!more_.empty()) more_.resize(kept);
    }
    return removed;
  }

 private:
  T* data() { return more_.empty() ? first_ : more_.data(); }
  [[nodiscard]] const T* data() const { return more_.empty() ? first_ : more_.data(); }

  union {
    T first_[kInline];  ///< not initialised beyond size_
  };
  std::uint32_t size_ = 0;
  std::vector<T> more_;  ///< all values, from when there are more than kInline until there is none
};

}  // namespace dotrelay
