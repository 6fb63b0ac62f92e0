// UDP in batches: many datagrams a system call (recvmmsg, sendmmsg), each with the address it was sent to, so that the
// answer leaves from there even on a wildcard socket.
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace dotrelay {

/// Where a datagram came from and where it arrived: what its answer needs.
struct DatagramRoute {
  Endpoint peer;
  IpAddress local;
  std::uint32_t scope = 0;  ///< interface of a link-local IPv6 peer, else 0
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

  DatagramReceiver();
  ~DatagramReceiver();

  /// What has arrived, at most kBatch datagrams; empty when nothing is there. Valid until the next call.
  std::span<const Datagram> receive(int fd);

 private:
  struct Buffers;
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
  struct Slot;
  struct Buffers;
  std::vector<Slot> slots_;
  std::unique_ptr<Buffers> buffers_;
  std::size_t queued_ = 0;
};

}  // namespace dotrelay
