// See sealed_memory.hpp.
#include "process/sealed_memory.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dotrelay {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

bool may_shrink(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals < 0 || (seals & F_SEAL_SHRINK) == 0;
}

Result<std::span<std::byte>> map_octets(int fd, std::size_t size) {
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Error{std::string("cannot map shared memory: ") + std::strerror(errno)};
  return std::span(static_cast<std::byte*>(memory), size);
}

}  // namespace

Result<SealedMemory> SealedMemory::create(std::size_t size) {
  UniqueFd fd(memfd_create("dotrelay", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return Error{std::string("cannot make shared memory: ") + std::strerror(errno)};
  }
  const Result<std::span<std::byte>> octets = map_octets(fd.get(), size);
  if (!octets) return octets.error();
  return SealedMemory(std::move(fd), *octets);
}

Result<SealedMemory> SealedMemory::map(UniqueFd fd) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0 || status.st_size <= 0) return Error{"the shared memory is not there"};
  if (may_shrink(fd.get())) return Error{"the shared memory belongs to another version of dotrelay"};
  const Result<std::span<std::byte>> octets = map_octets(fd.get(), static_cast<std::size_t>(status.st_size));
  if (!octets) return octets.error();
  return SealedMemory(std::move(fd), *octets);
}

SealedMemory::SealedMemory(SealedMemory&& other) noexcept
    : fd_(std::move(other.fd_)), octets_(std::exchange(other.octets_, {})) {}

SealedMemory::~SealedMemory() {
  if (!octets_.empty()) munmap(octets_.data(), octets_.size());
}

}  // namespace dotrelay
