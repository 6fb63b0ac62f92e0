// See datagrams.hpp.
#include "net/datagrams.hpp"

#include "net/sockets.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));
constexpr std::size_t kSendBatch = 64;

bool is_link_local(const IpAddress& address) {
  return address.is_v6 && address.octets[0] == 0xfe && (address.octets[1] & 0xc0) == 0x80;
}

IpAddress local_address(msghdr& header) {
  IpAddress local;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      // ipi_addr is where the datagram was sent to. A broadcast address is no address to answer from: spec_dst is.
      std::memcpy(local.octets.data(), &info.ipi_spec_dst, 4);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      local.is_v6 = true;
      std::memcpy(local.octets.data(), &info.ipi6_addr, 16);
    }
  }
  return local;
}

template <class Info>
void put_control(msghdr& header, std::uint8_t* buffer, int level, int type, const Info& info) {
  header.msg_control = buffer;
  header.msg_controllen = CMSG_SPACE(sizeof info);
  std::memset(buffer, 0, header.msg_controllen);
  cmsghdr* const control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(control), &info, sizeof info);
}

void put_local_address(msghdr& header, std::uint8_t* buffer, const DatagramRoute& route) {
  if (route.local.is_v6) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, route.local.octets.data(), 16);
    info.ipi6_ifindex = route.scope;
    put_control(header, buffer, IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, route.local.octets.data(), 4);
    put_control(header, buffer, IPPROTO_IP, IP_PKTINFO, info);
  }
}

}  // namespace

struct DatagramReceiver::Buffers {
  std::array<std::array<std::uint8_t, kMaxPayload>, kBatch> payloads;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, kBatch> controls;
  std::array<SocketAddress, kBatch> peers;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> headers;
  std::array<Datagram, kBatch> datagrams;
};

DatagramReceiver::DatagramReceiver() : buffers_(std::make_unique<Buffers>()) {}
DatagramReceiver::~DatagramReceiver() = default;

std::span<const Datagram> DatagramReceiver::receive(int fd) {
  Buffers& buffers = *buffers_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    buffers.vectors[i] = {buffers.payloads[i].data(), kMaxPayload};
    msghdr& header = buffers.headers[i].msg_hdr;
    header = {};
    header.msg_name = buffers.peers[i].raw();
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &buffers.vectors[i];
    header.msg_iovlen = 1;
    header.msg_control = buffers.controls[i].data();
    header.msg_controllen = kControlBytes;
  }
  int count;
  do {
    count = recvmmsg(fd, buffers.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return {};
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    msghdr& header = buffers.headers[i].msg_hdr;
    Datagram& datagram = buffers.datagrams[i];
    datagram.payload = Bytes(buffers.payloads[i]).first(buffers.headers[i].msg_len);
    datagram.route.peer = to_endpoint(buffers.peers[i]);
    datagram.route.local = local_address(header);
    datagram.route.scope = is_link_local(datagram.route.peer.address)
                               ? reinterpret_cast<const sockaddr_in6&>(buffers.peers[i].storage).sin6_scope_id
                               : 0;
  }
  return std::span(buffers.datagrams).first(static_cast<std::size_t>(count));
}

struct DatagramSender::Slot {
  DatagramRoute route;
  std::size_t size = 0;
  std::array<std::uint8_t, kMaxPayload> payload;
};

struct DatagramSender::Buffers {
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, kSendBatch> controls;
  std::array<SocketAddress, kSendBatch> peers;
  std::array<iovec, kSendBatch> vectors;
  std::array<mmsghdr, kSendBatch> headers;
};

DatagramSender::DatagramSender() : buffers_(std::make_unique<Buffers>()) {}
DatagramSender::~DatagramSender() = default;

void DatagramSender::queue(const DatagramRoute& route, Bytes payload) {
  assert(!full() && payload.size() <= kMaxPayload);
  if (queued_ == slots_.size()) slots_.emplace_back();
  Slot& slot = slots_[queued_++];
  slot.route = route;
  slot.size = payload.size();
  std::ranges::copy(payload, slot.payload.begin());
}

std::size_t DatagramSender::send(int fd) {
  Buffers& buffers = *buffers_;
  std::size_t done = 0;
  std::size_t refused = 0;
  while (done < queued_) {
    const std::size_t batch = std::min(kSendBatch, queued_ - done);
    for (std::size_t i = 0; i < batch; ++i) {
      Slot& slot = slots_[done + i];
      buffers.peers[i] = to_socket_address(slot.route.peer);
      if (slot.route.scope != 0) {
        reinterpret_cast<sockaddr_in6&>(buffers.peers[i].storage).sin6_scope_id = slot.route.scope;
      }
      buffers.vectors[i] = {slot.payload.data(), slot.size};
      msghdr& header = buffers.headers[i].msg_hdr;
      header = {};
      header.msg_name = buffers.peers[i].raw();
      header.msg_namelen = buffers.peers[i].size;
      header.msg_iov = &buffers.vectors[i];
      header.msg_iovlen = 1;
      put_local_address(header, buffers.controls[i].data(), slot.route);
    }
    const int sent = sendmmsg(fd, buffers.headers.data(), static_cast<unsigned>(batch), MSG_DONTWAIT);
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
  std::move(slots_.begin() + static_cast<std::ptrdiff_t>(done), slots_.begin() + static_cast<std::ptrdiff_t>(queued_),
            slots_.begin());
  queued_ -= done;
  return refused;
}

}  // namespace dotrelay
