// See descriptor_passing.hpp.
#include "net/descriptor_passing.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace dotrelay {
namespace {

/// Room for one descriptor. To receive, CMSG_LEN of it is offered: CMSG_SPACE has padding, in which the kernel would
/// put a second descriptor, and that one would never be closed. The kernel closes what does not fit.
struct Control {
  alignas(cmsghdr) char octets[CMSG_SPACE(sizeof(int))] = {};
};

iovec part(Bytes octets) { return {const_cast<std::uint8_t*>(octets.data()), octets.size()}; }

}  // namespace

std::optional<std::pair<UniqueFd, UniqueFd>> make_channel() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return std::nullopt;
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

int send_message(int channel, Bytes head, Bytes body, int fd) {
  iovec parts[] = {part(head), part(body)};
  Control control;
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (fd >= 0) {
    message.msg_control = control.octets;
    message.msg_controllen = sizeof control.octets;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  for (;;) {
    if (sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

ReceivedMessage receive_message(int channel, MutableBytes buffer) {
  iovec room{buffer.data(), buffer.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &room;
  message.msg_iovlen = 1;
  message.msg_control = control.octets;
  message.msg_controllen = CMSG_LEN(sizeof(int));
  ssize_t size = 0;
  do {
    size = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  ReceivedMessage received;
  if (size < 0 && errno == EAGAIN) return received;
  received.status = size > 0 ? ReceivedMessage::Status::message : ReceivedMessage::Status::end;
  if (size <= 0) return received;
  received.size = static_cast<std::size_t>(size);
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return received;
  int fd = -1;
  if (header->cmsg_len >= CMSG_LEN(sizeof fd)) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  received.fd.reset(fd);
  return received;
}

}  // namespace dotrelay
