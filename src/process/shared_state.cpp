// See shared_state.hpp.
#include "process/shared_state.hpp"

#include <cassert>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>

namespace dotrelay {
namespace {

/// Changes with every change of Layout or WorkerSlot.
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kMagic = 0x646f7472;

}  // namespace

struct SharedState::Layout {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t workers;
  std::uint32_t slot_size;
  WorkerSlot slots[1];  // `workers` of them

  static std::size_t size_for(std::uint32_t workers) { return sizeof(Layout) + workers * sizeof(WorkerSlot); }
};

Result<SharedState> SharedState::create(std::uint32_t workers) {
  UniqueFd fd(memfd_create("dotrelay", MFD_CLOEXEC));
  const std::size_t size = Layout::size_for(workers);
  if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return Error{std::string("cannot make shared memory: ") + std::strerror(errno)};
  }
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return Error{std::string("cannot map shared memory: ") + std::strerror(errno)};
  auto* const layout = static_cast<Layout*>(memory);
  layout->magic = kMagic;
  layout->version = kVersion;
  layout->workers = workers;
  layout->slot_size = sizeof(WorkerSlot);
  return SharedState(std::move(fd), layout, size);
}

Result<SharedState> SharedState::map(UniqueFd fd) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0 || static_cast<std::size_t>(status.st_size) < Layout::size_for(1)) {
    return Error{"the shared memory is not there"};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return Error{std::string("cannot map shared memory: ") + std::strerror(errno)};
  SharedState state(std::move(fd), static_cast<Layout*>(memory), size);
  const Layout& layout = *state.layout_;
  if (layout.magic != kMagic || layout.version != kVersion || layout.slot_size != sizeof(WorkerSlot) ||
      size < Layout::size_for(layout.workers)) {
    return Error{"the shared memory belongs to another version of dotrelay"};
  }
  return state;
}

SharedState::SharedState(SharedState&& other) noexcept
    : fd_(std::move(other.fd_)), layout_(std::exchange(other.layout_, nullptr)), size_(other.size_) {}

SharedState::~SharedState() {
  if (layout_ != nullptr) munmap(layout_, size_);
}

std::uint32_t SharedState::workers() const { return layout_->workers; }

WorkerSlot& SharedState::slot(std::uint32_t index) {
  assert(index < layout_->workers);
  return layout_->slots[index];
}

}  // namespace dotrelay
