// A piece of memory that processes share: a memfd whose size is sealed, mapped. Nothing stays behind when the processes
// end, and none of them can cut the memory off under another, which would die of SIGBUS (memfd_create(2)).
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace dotrelay {

class SealedMemory {
 public:
  /// All zero. Pages count when they are first written.
  static Result<SealedMemory> create(std::size_t size);
  /// Memory that create() has made, perhaps in another process. Anything else is refused before it is mapped.
  static Result<SealedMemory> map(UniqueFd fd);

  SealedMemory(SealedMemory&& other) noexcept;
  SealedMemory& operator=(SealedMemory&&) = delete;
  ~SealedMemory();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::span<std::byte> octets() const { return octets_; }

 private:
  SealedMemory(UniqueFd fd, std::span<std::byte> octets) : fd_(std::move(fd)), octets_(octets) {}

  UniqueFd fd_;
  std::span<std::byte> octets_;
};

}  // namespace dotrelay
