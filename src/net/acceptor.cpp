// See acceptor.hpp.
#include "net/acceptor.hpp"

#include "net/sockets.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <utility>

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

Acceptor::Acceptor(Loop& loop, int fd, PollListener& owner, FreedDescriptors& freed)
    : fd_(fd), freed_(freed), poller_(loop, fd, owner), resume_(loop, [this] { resume(); }) {
  poller_.watch(true, false);
}

AcceptResult Acceptor::next() {
  if (!pace_.may_try()) return {};
  AcceptResult result = accept();
  if (result.status == AcceptResult::Status::accepted || result.status == AcceptResult::Status::gone) {
    pace_.came();
  } else {
    pace_.in_vain();
  }
  return result;
}

AcceptResult Acceptor::accept() {
  AcceptResult result = accept_connection(fd_);
  if (result.status == AcceptResult::Status::no_descriptors) pause();
  return result;
}

void Acceptor::pause() {
  poller_.watch(false, false);
  if (std::exchange(paused_, true)) return;
  resume_.set(Clock::now() + kPause);
  freed_.await(*this);
}

void Acceptor::resume() {
  if (end_pause()) poller_.watch(true, false);
}

bool Acceptor::end_pause() {
  if (!std::exchange(paused_, false)) return false;
  resume_.set(kNever);
  freed_.forget(*this);
  return true;
}

void Acceptor::stop() {
  end_pause();
  poller_.watch(false, false);
}

void Acceptor::leave_port() {
  stop();
  dotrelay::leave_port(fd_, Protocol::tcp);
}

}  // namespace dotrelay
