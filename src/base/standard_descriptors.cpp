// See standard_descriptors.hpp.
#include "base/standard_descriptors.hpp"

#include <cassert>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace dotrelay {
namespace {

/// The reading end of a pipe that has no other: reads as end of file, and cannot be written to.
int open_nothing() {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  close(ends[1]);
  return ends[0];
}

/// Opening a master's file again would make another terminal.
bool is_terminal_master(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2);
}

}  // namespace

bool fill_standard_descriptors() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) >= 0) continue;
    int fd = open("/dev/null", O_RDWR | O_NOCTTY);
    if (fd < 0) fd = open_nothing();
    if (fd < 0) return false;
    assert(fd == number);  // the lowest free one
  }
  return true;
}

void own_standard_error() {
  struct stat status {};
  if (fstat(STDERR_FILENO, &status) != 0 || is_terminal_master(status)) return;
  if (!S_ISFIFO(status.st_mode) && isatty(STDERR_FILENO) == 0) return;
  const int flags = fcntl(STDERR_FILENO, F_GETFL);
  if (flags < 0) return;
  const std::string path = "/proc/self/fd/" + std::to_string(STDERR_FILENO);
  const int own = open(path.c_str(), (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return;
  dup2(own, STDERR_FILENO);
  close(own);
}

}  // namespace dotrelay
