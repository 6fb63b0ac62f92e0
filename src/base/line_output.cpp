// See line_output.hpp. Three ways not to wait, because none works for all kinds of descriptors: a socket is asked not
// to with each message; a pipe and a terminal are an open file description of this process's own, which is non-blocking
// (standard_descriptors.hpp); and everything is asked for room first. Where only the last holds (no /proc, a terminal
// of another user) two cases remain in which a write may wait: another process fills the pipe between the question and
// the write, and a terminal has room for less than the line. A regular file is as fast as its file system.
#include "base/line_output.hpp"

#include <cassert>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dotrelay {
namespace {

bool is_socket(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}

bool has_room(int descriptor) {
  pollfd question{descriptor, POLLOUT, 0};
  return poll(&question, 1, 0) == 1 && (question.revents & POLLOUT) != 0;
}

/// What reads has gone: a line's rest would be the beginning of what its successor sees.
bool reader_has_gone(int error) { return error == EPIPE || error == ECONNRESET || error == EIO; }

}  // namespace

LineOutput::LineOutput(int descriptor) : descriptor_(descriptor), is_socket_(is_socket(descriptor)) {}

bool LineOutput::write(std::string_view line) {
  assert(line.size() <= kMaxLineBytes && line.ends_with('\n'));
  if (!finish()) return false;
  const std::size_t written = write_some(line);
  if (written == 0) return false;
  rest_ = line.substr(written);
  return true;
}

bool LineOutput::finish() {
  if (!rest_.empty()) rest_.erase(0, write_some(rest_));
  return rest_.empty();
}

std::size_t LineOutput::write_some(std::string_view text) {
  for (;;) {
    if (!is_socket_ && !has_room(descriptor_)) return 0;
    const ssize_t written = is_socket_ ? send(descriptor_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : ::write(descriptor_, text.data(), text.size());
    if (written >= 0) return static_cast<std::size_t>(written);
    if (errno == EINTR) continue;
    if (reader_has_gone(errno)) rest_.clear();
    return 0;
  }
}

}  // namespace dotrelay
