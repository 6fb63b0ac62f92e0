// UDP in batches: many datagrams a system call (recvmmsg, sendmmsg). On a wildcard socket each comes with the address
// it was sent to, so that the answer leaves from there; a socket that is bound to one address answers from it anyway.
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"

#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <span>

namespace dotrelay {

/// Where a datagram came from and where it arrived: what its answer needs, most of it as the kernel gave it and wants
/// it back.
struct DatagramRoute {
  union Peer {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;  ///< with the interface of a link-local peer
  };

  DatagramRoute() = default;
  explicit DatagramRoute(const Endpoint& peer, const std::optional<IpAddress>& local = {});

  [[nodiscard]] Endpoint endpoint() const;  ///< of the peer

  Peer peer{.v6 = {}};
  std::optional<IpAddress> local;  ///< none: the socket's own
};

struct Datagram {
  Bytes payload;
  DatagramRoute route;
};

class DatagramReceiver {
 public:
  static constexpr std::size_t kBatch = 32;
  /// Longer datagrams arrive cut, and are malformed then. No query is anywhere near.
  static constexpr std::size_t kMaxPayload = 2048;

  /// `fd` is bound and stays open as long as the receiver is used.
  explicit DatagramReceiver(int fd);
  ~DatagramReceiver();

  /// What has arrived, at most kBatch datagrams; empty when nothing is there. Valid until the next call.
  std::span<const Datagram> receive();

 private:
  struct Buffers;

  void prepare(std::size_t count);

  int fd_;
  bool wildcard_;
  std::size_t used_ = kBatch;  ///< headers that have to be prepared again
  std::unique_ptr<Buffers> buffers_;
};

class DatagramSender {
 public:
  static constexpr std::size_t kMaxQueued = 256;
  static constexpr std::size_t kMaxPayload = 1232;

  DatagramSender();
  ~DatagramSender();

  [[nodiscard]] bool empty() const { return queued_ == 0; }
  [[nodiscard]] bool full() const { return queued_ == kMaxQueued; }

  /// Copies the datagram to the queue. Only when not full(); `payload` has at most kMaxPayload octets.
  void queue(const DatagramRoute& route, Bytes payload);

  /// Hands the queue to the kernel. Returns how many datagrams it would never take; what it does not take now stays.
  std::size_t send(int fd);

 private:
  struct Buffers;

  void keep_from(std::size_t done);

  std::unique_ptr<Buffers> buffers_;
  std::size_t queued_ = 0;
};

}  // namespace dotrelay
