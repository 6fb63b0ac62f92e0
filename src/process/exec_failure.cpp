// See exec_failure.hpp.
#include "process/exec_failure.hpp"

#include "net/sockets.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace dotrelay {
namespace {

constexpr int kCannotExecute = 127;  // as shells have it

}  // namespace

std::optional<ExecFailure> ExecFailure::make() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  return ExecFailure{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void end_after_failed_exec(int child) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(child, &error, sizeof error);
  _exit(kCannotExecute);
}

std::optional<std::string> exec_failure(const UniqueFd& parent) {
  int error = 0;
  if (!parent || read(parent.get(), &error, sizeof error) != sizeof error) return std::nullopt;
  return errno_text(error);
}

}  // namespace dotrelay
