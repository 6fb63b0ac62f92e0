// See tcp_acceptor.hpp.
#include "net/tcp_acceptor.hpp"

#include "net/sockets.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace dotrelay {

AcceptResult accept_connection(int listening_fd) {
  AcceptResult result;
  SocketAddress peer;
  UniqueFd fd(accept4(listening_fd, peer.raw(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    switch (errno) {
      case EAGAIN:
        return result;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        result.status = AcceptResult::Status::no_descriptors;
        return result;
      default:  // accept(2): network errors of the new connection come as errors of accept
        result.status = AcceptResult::Status::gone;
        return result;
    }
  }
  result.status = AcceptResult::Status::accepted;
  result.fd = std::move(fd);
  result.peer = to_endpoint(peer);
  return result;
}

}  // namespace dotrelay
