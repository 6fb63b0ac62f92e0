// See read_file.hpp.
#include "base/read_file.hpp"

#include "base/unique_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>

namespace dotrelay {
namespace {

constexpr std::size_t kBytesPerMebibyte = 1024 * 1024;

/// What is read at once beyond the size that the file had at first.
constexpr std::size_t kMoreBytes = 16 * 1024;

Error system_error() { return Error{std::strerror(errno)}; }

/// Nothing for a regular file.
std::optional<Error> why_not(mode_t mode) {
  if (S_ISREG(mode)) return std::nullopt;
  const char* const kind = S_ISDIR(mode) ? "directory" : S_ISFIFO(mode) ? "FIFO" : S_ISSOCK(mode) ? "socket" : "device";
  return Error{std::string("is a ") + kind + ", not a file"};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
  const Error too_large{"larger than " + std::to_string(limit_bytes / kBytesPerMebibyte) + " MiB"};
  struct stat status {};
  // Before it is opened, too: opening a FIFO releases its writer, and a device may begin to act.
  if (stat(path.c_str(), &status) != 0) return system_error();
  if (auto error = why_not(status.st_mode)) return *error;
  // Another file may have come to the path meanwhile: O_NONBLOCK, so that not even a FIFO is waited for.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd || fstat(fd.get(), &status) != 0) return system_error();
  if (auto error = why_not(status.st_mode)) return *error;

  if (static_cast<std::uintmax_t>(status.st_size) > limit_bytes) return too_large;
  // The size is only a hint: a file may grow while it is read, and those of /proc have none.
  const auto expected = static_cast<std::size_t>(status.st_size);
  std::string content;
  for (std::size_t size = 0;;) {
    content.resize(std::min(size <= expected ? expected + 1 : size + kMoreBytes, limit_bytes + 1));
    const ssize_t count = read(fd.get(), content.data() + size, content.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error();
    size += static_cast<std::size_t>(count);
    if (size > limit_bytes) return too_large;
    if (count > 0) continue;
    content.resize(size);
    return content;
  }
}

}  // namespace dotrelay
