// The floor's clients: UDP datagrams in batches, and TCP connections, on raw descriptors.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace floor_bench {

// A client: an index of TcpClients, or the address of a datagram.
struct Asker {
  std::uint16_t id = 0;
  bool tcp = false;
  std::uint32_t connection = 0;
  std::uint32_t generation = 0;
  sockaddr_in peer{};
};

class UdpClients {
 public:
  static constexpr unsigned kBatch = 64;
  static constexpr std::size_t kMessage = 1280;

  explicit UdpClients(int fd);

  // Calls visit(asker, message, size) for each datagram that has come.
  template <class Visit>
  void read(Visit visit) {
    for (unsigned count = kBatch; count == kBatch;) {
      count = receive();
      for (unsigned i = 0; i < count; ++i) {
        Asker asker;
        asker.peer = peers_[i];
        visit(asker, in_[i], incoming_[i].msg_len);
      }
    }
  }

  // Copies an answer, which leaves with the others of this turn; answers with `id`.
  void answer(const Asker& asker, const std::uint8_t* message, std::size_t size);
  void flush();

 private:
  unsigned receive();

  int fd_;
  std::uint8_t in_[kBatch][kMessage];
  std::uint8_t out_[kBatch][kMessage];
  sockaddr_in peers_[kBatch], out_peers_[kBatch];
  iovec vectors_[kBatch], out_vectors_[kBatch];
  mmsghdr incoming_[kBatch], outgoing_[kBatch];
  unsigned queued_ = 0;
};

class TcpClients {
 public:
  // Accepted connections are watched on `epoll` with data.u64 = kFirstKey + their index.
  static constexpr std::uint64_t kFirstKey = 16;

  TcpClients(int listener, int epoll) : listener_(listener), epoll_(epoll), buffer_(std::size_t{64} * 1024) {}

  void accept();

  // Calls visit(asker, message, size) for each frame that has come on the connection of `key`.
  template <class Visit>
  void read(std::uint64_t key, Visit visit) {
    const auto index = static_cast<std::uint32_t>(key - kFirstKey);
    Connection& connection = connections_[index];
    const std::size_t before = connection.input.size();
    std::copy(connection.input.begin(), connection.input.end(), buffer_.begin());
    const ssize_t size = recv(connection.fd, buffer_.data() + before, buffer_.size() - before, 0);
    if (size <= 0) return close(index);
    const std::size_t end = before + static_cast<std::size_t>(size);
    std::size_t at = 0;
    while (end - at >= 2) {
      const std::size_t length = static_cast<std::size_t>(buffer_[at]) << 8 | buffer_[at + 1];
      if (end - at - 2 < length) break;
      Asker asker;
      asker.tcp = true;
      asker.connection = index;
      asker.generation = connection.generation;
      visit(asker, &buffer_[at + 2], length);
      at += 2 + length;
    }
    connection.input.assign(buffer_.begin() + static_cast<std::ptrdiff_t>(at),
                            buffer_.begin() + static_cast<std::ptrdiff_t>(end));
  }

  void answer(const Asker& asker, const std::uint8_t* message, std::size_t size);
  void flush();

 private:
  struct Connection {
    int fd = -1;
    std::uint32_t generation = 0;
    std::vector<std::uint8_t> input, output;
  };

  void close(std::uint32_t index);

  int listener_, epoll_;
  int accepts_ = 1;  // in a turn
  int learned_ = 0;  // turns for which that stays
  std::vector<std::uint8_t> buffer_;
  std::vector<Connection> connections_;
  std::vector<std::uint32_t> free_, to_flush_;
};

}  // namespace floor_bench
