// Objects addressed by an index with a serial number. A handle that outlives its object finds nothing, so late
// callbacks need no shared ownership. Objects never move while they live.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace dotrelay {

/// Names an object of a Slab<Tag>. The default handle names nothing.
template <class Tag>
struct Handle {
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t index = kNone;
  std::uint32_t serial = 0;

  explicit operator bool() const { return index != kNone; }
  friend bool operator==(const Handle&, const Handle&) = default;
};

template <class T>
class Slab {
 public:
  using HandleType = Handle<T>;

  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for_each([this](HandleType handle, T&) { erase(handle); });
  }

  template <class... Arguments>
  HandleType emplace(Arguments&&... arguments) {
    if (free_.empty()) add_slot();
    const std::uint32_t index = free_.back();
    Slot& slot = at(index);
    new (static_cast<void*>(slot.object)) T(std::forward<Arguments>(arguments)...);
    free_.pop_back();
    ++slot.serial;
    ++size_;
    return {index, slot.serial};
  }

  /// The object, or nullptr when it is gone. Valid until erase() of this handle.
  T* find(HandleType handle) {
    if (handle.index >= slots_ || at(handle.index).serial != handle.serial) return nullptr;
    return at(handle.index).get();
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
    Slot& slot = at(handle.index);
    ++slot.serial;
    slot.get()->~T();
    free_.push_back(handle.index);
    --size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// Objects for which there is memory.
  [[nodiscard]] std::size_t capacity() const { return chunks_.size() * kChunk; }

  /// Gives back the memory behind the last living object, but never the first chunk: a flood that has passed leaves
  /// nothing behind. Objects that come next take the places in front, so that the end becomes free. It walks over all
  /// places: not for the usual course of things.
  void shrink() {
    std::size_t chunks = chunks_.size();
    while (chunks > 1 && std::ranges::none_of(slots_of_chunk(chunks - 1), &Slot::lives)) {
      for (const Slot& slot : slots_of_chunk(--chunks)) first_serial_ = std::max(first_serial_, slot.serial);
      slots_ = static_cast<std::uint32_t>(chunks * kChunk);
      chunks_.pop_back();
    }
    free_.clear();
    for (std::uint32_t index = slots_; index-- > 0;) {
      if (!at(index).lives()) free_.push_back(index);
    }
    free_.shrink_to_fit();
  }

  /// Calls visit(handle, object) for each living object. visit may erase the object it is given, not others.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t index = 0; index < slots_; ++index) {
      Slot& slot = at(index);
      if (slot.lives()) visit(HandleType{index, slot.serial}, *slot.get());
    }
  }

 private:
  /// The serial number counts births and deaths: it is odd while an object lives. It stands in front, because the
  /// object's first members are read next.
  struct Slot {
    std::uint32_t serial;
    alignas(T) std::byte object[sizeof(T)];

    [[nodiscard]] bool lives() const { return serial % 2 != 0; }
    T* get() { return std::launder(reinterpret_cast<T*>(object)); }
  };

  // Chunks, because growing must not move objects; of about 16 KiB, and a power of two, because finding one is the most
  // frequent operation of all.
  static constexpr std::size_t kChunk = std::bit_floor(std::max<std::size_t>(1, 16384 / sizeof(Slot)));

  Slot& at(std::uint32_t index) { return chunks_.data()[index / kChunk].get()[index % kChunk]; }

  /// The slots of a chunk that have been in use.
  std::span<Slot> slots_of_chunk(std::size_t chunk) {
    return {chunks_[chunk].get(), std::min(kChunk, slots_ - chunk * kChunk)};
  }

  void add_slot() {
    if (slots_ % kChunk == 0) chunks_.push_back(std::make_unique_for_overwrite<Slot[]>(kChunk));
    at(slots_).serial = first_serial_;
    free_.push_back(slots_++);
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t slots_ = 0;         ///< that have been in use; those behind them are not initialised
  std::uint32_t first_serial_ = 0;  ///< of a new slot: above that of any slot given back, so no old handle fits
  std::size_t size_ = 0;
};

}  // namespace dotrelay
