#include "clients.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace floor_bench {

UdpClients::UdpClients(int fd) : fd_(fd) {
  for (unsigned i = 0; i < kBatch; ++i) {
    vectors_[i] = {in_[i], kMessage};
    incoming_[i] = {};
    incoming_[i].msg_hdr.msg_name = &peers_[i];
    incoming_[i].msg_hdr.msg_iov = &vectors_[i];
    incoming_[i].msg_hdr.msg_iovlen = 1;
    outgoing_[i] = {};
    outgoing_[i].msg_hdr.msg_name = &out_peers_[i];
    outgoing_[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
    outgoing_[i].msg_hdr.msg_iov = &out_vectors_[i];
    outgoing_[i].msg_hdr.msg_iovlen = 1;
  }
}

unsigned UdpClients::receive() {
  for (mmsghdr& header : incoming_) header.msg_hdr.msg_namelen = sizeof(sockaddr_in);
  const int count = recvmmsg(fd_, incoming_, kBatch, MSG_DONTWAIT, nullptr);
  return count > 0 ? static_cast<unsigned>(count) : 0;
}

void UdpClients::answer(const Asker& asker, const std::uint8_t* message, std::size_t size) {
  if (queued_ == kBatch) flush();
  if (size > kMessage) return;
  std::memcpy(out_[queued_], message, size);
  out_[queued_][0] = static_cast<std::uint8_t>(asker.id >> 8);
  out_[queued_][1] = static_cast<std::uint8_t>(asker.id);
  out_peers_[queued_] = asker.peer;
  out_vectors_[queued_] = {out_[queued_], size};
  ++queued_;
}

void UdpClients::flush() {
  if (queued_ > 0) sendmmsg(fd_, outgoing_, queued_, MSG_DONTWAIT);
  queued_ = 0;
}

// As many as the relay tries: see AcceptPace.
void TcpClients::accept() {
  for (int accepted = 0; accepted < accepts_; ++accepted) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      accepts_ = std::max(1, accepted);
      learned_ = 16;
      return;
    }
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(connections_.size()));
      connections_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    connections_[index].fd = fd;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kFirstKey + index}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  if (learned_ > 0) {
    --learned_;
  } else {
    accepts_ = std::min(2 * accepts_, 64);
  }
}

void TcpClients::answer(const Asker& asker, const std::uint8_t* message, std::size_t size) {
  Connection& connection = connections_[asker.connection];
  if (connection.generation != asker.generation) return;
  if (connection.output.empty()) to_flush_.push_back(asker.connection);
  const std::uint8_t head[] = {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size),
                               static_cast<std::uint8_t>(asker.id >> 8), static_cast<std::uint8_t>(asker.id)};
  connection.output.insert(connection.output.end(), head, head + sizeof head);
  connection.output.insert(connection.output.end(), message + 2, message + size);
}

void TcpClients::flush() {
  for (const std::uint32_t index : to_flush_) {
    Connection& connection = connections_[index];
    // The load reads all the time: what the kernel does not take at once is a mistake of the measurement.
    if (send(connection.fd, connection.output.data(), connection.output.size(), MSG_NOSIGNAL) < 0) close(index);
    connection.output.clear();
  }
  to_flush_.clear();
}

void TcpClients::close(std::uint32_t index) {
  Connection& connection = connections_[index];
  ::close(connection.fd);
  connection.fd = -1;
  ++connection.generation;
  connection.input.clear();
  free_.push_back(index);
}

}  // namespace floor_bench
