// See socket_diag.hpp.
#include "net/socket_diag.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <memory>
#include <sys/stat.h>

namespace dotrelay {
namespace {

// States as the kernel numbers them (net/tcp_states.h); an unconnected UDP socket is "closed".
constexpr std::uint32_t kClosed = 7;
constexpr std::uint32_t kListening = 10;

/// The kernel fills at most 32 KiB of a dump at once.
constexpr std::size_t kReplyBytes = 32 * 1024;

/// Of one message about a socket about 100 octets; with empty replies in between this is never reached.
constexpr int kMaxReads = 1024;

bool ask(int fd, Protocol protocol, bool is_v6, std::uint16_t port) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = is_v6 ? AF_INET6 : AF_INET;
  message.request.sdiag_protocol = protocol == Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
  message.request.idiag_states = 1U << (protocol == Protocol::udp ? kClosed : kListening);
  message.request.id.idiag_sport = htons(port);
  return send(fd, &message, sizeof message, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof message);
}

BoundSocket read_socket(const nlmsghdr& header) {
  inet_diag_msg message;
  std::memcpy(&message, NLMSG_DATA(&header), sizeof message);
  BoundSocket socket;
  socket.address.address.is_v6 = message.idiag_family == AF_INET6;
  std::memcpy(socket.address.address.octets.data(), message.id.idiag_src, socket.address.address.bytes().size());
  socket.address.port = ntohs(message.id.idiag_sport);
  socket.inode = message.idiag_inode;
  socket.user = message.idiag_uid;
  return socket;
}

}  // namespace

std::optional<std::vector<BoundSocket>> sockets_at_port(Protocol protocol, bool is_v6, std::uint16_t port) {
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!fd || !ask(fd.get(), protocol, is_v6, port)) return std::nullopt;
  std::vector<BoundSocket> sockets;
  const auto reply = std::make_unique_for_overwrite<std::uint8_t[]>(kReplyBytes);  // aligned for any type
  for (int i = 0; i < kMaxReads; ++i) {
    // The kernel makes the rest of its answer while it is read, so there is always something to read before the end.
    const ssize_t size = recv(fd.get(), reply.get(), kReplyBytes, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return std::nullopt;
    auto left = static_cast<unsigned>(size);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(reply.get()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return sockets;
      if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY) return std::nullopt;  // an error: no such module, no right
      if (header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) return std::nullopt;
      if (sockets.size() == kMaxListedSockets) return sockets;
      sockets.push_back(read_socket(*header));
    }
  }
  return std::nullopt;
}

std::uint64_t inode_of(int fd) {
  struct stat status {};
  return fd >= 0 && fstat(fd, &status) == 0 ? status.st_ino : 0;
}

}  // namespace dotrelay
