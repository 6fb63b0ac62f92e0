// See tcp_stream.hpp.
#include "net/tcp_stream.hpp"

#include "net/sockets.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace dotrelay {

TcpStream::ReadResult TcpStream::read(MutableBytes buffer) {
  for (;;) {
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size > 0) return {ReadStatus::data, static_cast<std::size_t>(size), 0};
    if (size == 0) return {ReadStatus::end, 0, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {ReadStatus::nothing_yet, 0, 0};
    return {ReadStatus::error, 0, errno};
  }
}

int TcpStream::write(ByteQueue& queue) {
  while (!queue.empty()) {
    const Bytes octets = queue.bytes();
    const ssize_t size = send(fd_.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      queue.consume(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      return 0;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void TcpStream::reset_on_close() { dotrelay::reset_on_close(fd_.get()); }

}  // namespace dotrelay
