// Bounded access to octets: a reader that cannot run past the end and a writer that cannot overflow. Everything that
// comes from the network is read through ByteReader. Integers are big-endian, as on the wire (RFC 1035 2.3.2).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace dotrelay {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

// An empty span may hold a null pointer, which memcmp, memcpy and memset do not take even for no octets.

inline bool equal(Bytes left, Bytes right) {
  return left.size() == right.size() && (left.empty() || std::memcmp(left.data(), right.data(), left.size()) == 0);
}

inline std::uint16_t load_u16(const std::uint8_t* at) { return static_cast<std::uint16_t>((at[0] << 8) | at[1]); }

inline void store_u16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

/// Eight octets at `at` in the machine's order, or as many as there are when `size` is less; the others are 0. That
/// whole words have a branch of their own makes their copy one instruction.
inline std::uint64_t load_word(const std::uint8_t* at, std::size_t size) {
  std::uint64_t word = 0;
  if (size >= sizeof word) {
    std::memcpy(&word, at, sizeof word);
  } else if (size > 0) {
    std::memcpy(&word, at, size);
  }
  return word;
}

/// The reverse: writes eight octets, or `size` when that is less.
inline void store_word(std::uint8_t* at, std::size_t size, std::uint64_t word) {
  if (size >= sizeof word) {
    std::memcpy(at, &word, sizeof word);
  } else if (size > 0) {
    std::memcpy(at, &word, size);
  }
}

/// Reads from the front. The first read past the end sets failed() for good; such reads return 0 or nothing.
class ByteReader {
 public:
  explicit ByteReader(Bytes data, std::size_t offset = 0)
      : data_(data), offset_(std::min(offset, data.size())), failed_(offset > data.size()) {}

  std::uint8_t u8() {
    const Bytes octets = take(1);
    return octets.empty() ? std::uint8_t{0} : octets[0];
  }

  std::uint16_t u16() {
    const Bytes octets = take(2);
    return octets.empty() ? std::uint16_t{0} : load_u16(octets.data());
  }

  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return (high << 16) | u16();
  }

  /// The next `count` octets, or nothing (and failed()) when there are fewer. They live as long as the data.
  [[gnu::always_inline]] Bytes take(std::size_t count) {
    if (failed_ || data_.size() - offset_ < count) {
      failed_ = true;
      return {};
    }
    const Bytes octets(data_.data() + offset_, count);
    offset_ += count;
    return octets;
  }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return offset_ == data_.size(); }
  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - offset_; }

  /// The octets that were not read yet.
  [[nodiscard]] Bytes rest() const { return {data_.data() + offset_, remaining()}; }

 private:
  Bytes data_;
  std::size_t offset_;
  bool failed_;
};

/// Writes to the front of a buffer that the caller owns. The first write that does not fit sets failed() for good and
/// writes nothing.
class ByteWriter {
 public:
  explicit ByteWriter(MutableBytes buffer) : buffer_(buffer) {}

  void u8(std::uint8_t value) {
    if (const MutableBytes room = reserve(1); !room.empty()) room[0] = value;
  }

  void u16(std::uint16_t value) {
    if (const MutableBytes room = reserve(2); !room.empty()) store_u16(room.data(), value);
  }

  void u32(std::uint32_t value) {
    u16(static_cast<std::uint16_t>(value >> 16));
    u16(static_cast<std::uint16_t>(value));
  }

  void put(Bytes octets) {
    if (const MutableBytes room = reserve(octets.size()); !room.empty()) {
      std::memcpy(room.data(), octets.data(), room.size());
    }
  }

  void zeros(std::size_t count) {
    if (const MutableBytes room = reserve(count); !room.empty()) std::memset(room.data(), 0, room.size());
  }

  /// The next `count` octets, for the caller to write, or nothing (and failed()) when they do not fit.
  MutableBytes reserve(std::size_t count) {
    if (failed_ || buffer_.size() - size_ < count) {
      failed_ = true;
      return {};
    }
    const MutableBytes room(buffer_.data() + size_, count);
    size_ += count;
    return room;
  }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Bytes written() const { return {buffer_.data(), size_}; }

 private:
  MutableBytes buffer_;
  std::size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace dotrelay
