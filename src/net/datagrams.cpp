// See datagrams.hpp.
#include "net/datagrams.hpp"

#include "net/sockets.hpp"

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <utility>

namespace dotrelay {
namespace {

constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));

bool is_link_local(const in6_addr& address) { return IN6_IS_ADDR_LINKLOCAL(&address); }

std::optional<IpAddress> local_address(msghdr& header) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    IpAddress local;
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      // ipi_addr is where the datagram was sent to. A broadcast address is no address to answer from: spec_dst is.
      std::memcpy(local.octets.data(), &info.ipi_spec_dst, 4);
      return local;
    }
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      local.is_v6 = true;
      std::memcpy(local.octets.data(), &info.ipi6_addr, 16);
      return local;
    }
  }
  return std::nullopt;
}

template <class Info>
void put_control(msghdr& header, int level, int type, const Info& info) {
  header.msg_controllen = CMSG_SPACE(sizeof info);
  std::memset(header.msg_control, 0, header.msg_controllen);
  cmsghdr* const control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(control), &info, sizeof info);
}

/// To msg_control, which has kControlBytes.
void put_local_address(msghdr& header, const DatagramRoute& route) {
  if (route.local->is_v6) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, route.local->octets.data(), 16);
    info.ipi6_ifindex = route.peer.v6.sin6_scope_id;
    put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, route.local->octets.data(), 4);
    put_control(header, IPPROTO_IP, IP_PKTINFO, info);
  }
}

/// Bound to no address of its own.
bool is_wildcard(int fd) {
  SocketAddress own;
  return getsockname(fd, own.raw(), &own.size) != 0 || to_endpoint(own).address.is_unspecified();
}

}  // namespace

DatagramRoute::DatagramRoute(const Endpoint& peer_endpoint, const std::optional<IpAddress>& local_address)
    : local(local_address) {
  const SocketAddress address = to_socket_address(peer_endpoint);
  std::memcpy(&peer, &address.storage, sizeof peer);
}

Endpoint DatagramRoute::endpoint() const { return to_endpoint(peer.any); }

struct DatagramReceiver::Buffers {
  std::array<std::array<std::uint8_t, kMaxPayload>, kBatch> payloads;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, kBatch> controls;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> headers;
  std::array<Datagram, kBatch> datagrams;
};

DatagramReceiver::DatagramReceiver(int fd)
    : fd_(fd), wildcard_(is_wildcard(fd)), buffers_(std::make_unique_for_overwrite<Buffers>()) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    buffers_->vectors[i] = {buffers_->payloads[i].data(), kMaxPayload};
    msghdr& header = buffers_->headers[i].msg_hdr;
    header = {};
    header.msg_name = &buffers_->datagrams[i].route.peer;
    header.msg_iov = &buffers_->vectors[i];
    header.msg_iovlen = 1;
    if (wildcard_) header.msg_control = buffers_->controls[i].data();
  }
}

DatagramReceiver::~DatagramReceiver() = default;

/// Undoes what the kernel wrote to the first `count` headers.
void DatagramReceiver::prepare(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    msghdr& header = buffers_->headers[i].msg_hdr;
    header.msg_namelen = sizeof(DatagramRoute::Peer);
    header.msg_controllen = wildcard_ ? kControlBytes : 0;
  }
}

std::span<const Datagram> DatagramReceiver::receive() {
  prepare(used_);
  used_ = 0;
  int count;
  do {
    count = recvmmsg(fd_, buffers_->headers.data(), kBatch, MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return {};
  used_ = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < used_; ++i) {
    Datagram& datagram = buffers_->datagrams[i];
    datagram.payload = Bytes(buffers_->payloads[i]).first(buffers_->headers[i].msg_len);
    if (wildcard_) datagram.route.local = local_address(buffers_->headers[i].msg_hdr);
    DatagramRoute::Peer& peer = datagram.route.peer;
    if (peer.any.sa_family == AF_INET6 && !is_link_local(peer.v6.sin6_addr)) peer.v6.sin6_scope_id = 0;
  }
  return std::span(buffers_->datagrams).first(used_);
}

/// The headers point to the rest once and for all.
struct DatagramSender::Buffers {
  std::array<mmsghdr, kMaxQueued> headers;
  std::array<iovec, kMaxQueued> vectors;
  std::array<DatagramRoute, kMaxQueued> routes;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, kMaxQueued> controls;
  std::array<std::array<std::uint8_t, kMaxPayload>, kMaxQueued> payloads;
};

// Most of the buffers is never touched where no such queue forms, and takes no memory then.
DatagramSender::DatagramSender() : buffers_(std::make_unique_for_overwrite<Buffers>()) {
  for (std::size_t i = 0; i < kMaxQueued; ++i) {
    buffers_->vectors[i] = {buffers_->payloads[i].data(), 0};
    msghdr& header = buffers_->headers[i].msg_hdr;
    header = {};
    header.msg_name = &buffers_->routes[i].peer;
    header.msg_iov = &buffers_->vectors[i];
    header.msg_iovlen = 1;
  }
}

DatagramSender::~DatagramSender() = default;

void DatagramSender::queue(const DatagramRoute& route, Bytes payload) {
  assert(!full() && payload.size() <= kMaxPayload);
  const std::size_t slot = queued_++;
  buffers_->routes[slot] = route;
  buffers_->vectors[slot].iov_len = payload.size();
  if (!payload.empty()) std::memcpy(buffers_->payloads[slot].data(), payload.data(), payload.size());
  msghdr& header = buffers_->headers[slot].msg_hdr;
  header.msg_namelen = route.peer.any.sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  header.msg_control = nullptr;
  header.msg_controllen = 0;
  if (!route.local) return;
  header.msg_control = buffers_->controls[slot].data();
  put_local_address(header, route);
}

std::size_t DatagramSender::send(int fd) {
  std::size_t done = 0;
  std::size_t refused = 0;
  while (done < queued_) {
    const int sent = sendmmsg(fd, &buffers_->headers[done], static_cast<unsigned>(queued_ - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      break;
    } else if (errno != EINTR) {
      // The error is the first datagram's own (its network is unreachable, a filter forbids it): the others go on.
      ++done;
      ++refused;
    }
  }
  keep_from(done);
  return refused;
}

/// Moves what is behind the first `done` to the front.
void DatagramSender::keep_from(std::size_t done) {
  const std::size_t end = std::exchange(queued_, 0);
  if (done == 0) {
    queued_ = end;
    return;
  }
  for (std::size_t i = done; i < end; ++i) {
    queue(buffers_->routes[i], Bytes(buffers_->payloads[i]).first(buffers_->vectors[i].iov_len));
  }
}

}  // namespace dotrelay
