// Bounded access to octets: a reader that cannot run past the end and a writer that cannot overflow. Everything that
// comes from the network is read through ByteReader. Integers are big-endian, as on the wire (RFC 1035 2.3.2).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dotrelay {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline bool equal(Bytes left, Bytes right) { return std::ranges::equal(left, right); }

inline std::uint16_t load_u16(const std::uint8_t* at) { return static_cast<std::uint16_t>((at[0] << 8) | at[1]); }

inline void store_u16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
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
  Bytes take(std::size_t count) {
    if (failed_ || data_.size() - offset_ < count) {
      failed_ = true;
      return {};
    }
    const Bytes octets = data_.subspan(offset_, count);
    offset_ += count;
    return octets;
  }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return offset_ == data_.size(); }
  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - offset_; }

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

  void u8(std::uint8_t value) { put(Bytes(&value, 1)); }

  void u16(std::uint16_t value) {
    std::uint8_t octets[2];
    store_u16(octets, value);
    put(octets);
  }

  void u32(std::uint32_t value) {
    u16(static_cast<std::uint16_t>(value >> 16));
    u16(static_cast<std::uint16_t>(value));
  }

  void put(Bytes octets) {
    if (MutableBytes room = reserve(octets.size()); !failed_) std::ranges::copy(octets, room.begin());
  }

  void zeros(std::size_t count) {
    if (MutableBytes room = reserve(count); !failed_) std::ranges::fill(room, std::uint8_t{0});
  }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Bytes written() const { return buffer_.first(size_); }

 private:
  MutableBytes reserve(std::size_t count) {
    if (failed_ || buffer_.size() - size_ < count) {
      failed_ = true;
      return {};
    }
    const MutableBytes room = buffer_.subspan(size_, count);
    size_ += count;
    return room;
  }

  MutableBytes buffer_;
  std::size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace dotrelay
