// TCP clients that go from one worker to its successor without noticing: the connection's descriptor travels, with the
// source address and the octets of a half-read query. What the client sends meanwhile waits in the kernel.
#pragma once

#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "listener/source_filter.hpp"
#include "listener/tcp_clients.hpp"
#include "net/handles.hpp"

#include <deque>
#include <optional>
#include <vector>

namespace dotrelay {

/// The side that gives clients away.
class ClientHandover final : private PollListener, private FlushTarget {
 public:
  /// `channel` leads to the successor's ClientReceiver (net/descriptor_passing). The references outlive this object.
  ClientHandover(Loop& loop, UniqueFd channel, TcpClients& clients);
  /// Clients that are added later drain.
  ~ClientHandover();
  ClientHandover(const ClientHandover&) = delete;
  ClientHandover& operator=(const ClientHandover&) = delete;

  /// Sends the client at the end of the turn, or when the channel has room. Without a successor at the other end all
  /// clients drain instead.
  void pass(Handle<TcpSession> client);

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  void flush() noexcept override;

  Loop& loop_;
  TcpClients& clients_;
  UniqueFd channel_;
  Poller poller_;
  Timer retry_;
  std::deque<Handle<TcpSession>> waiting_;
};

/// The side that takes them on.
class ClientReceiver final : private PollListener {
 public:
  ClientReceiver(Loop& loop, UniqueFd channel, TcpClients& clients, SourceFilter& sources);

  /// Takes on all clients that have been sent.
  void receive_all();

  /// The other side has sent its last client.
  [[nodiscard]] bool ended() const { return !poller_; }

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  bool receive_one();

  TcpClients& clients_;
  SourceFilter& sources_;
  UniqueFd channel_;
  std::vector<std::uint8_t> buffer_;
  std::optional<Poller> poller_;  // closed before the descriptor
};

}  // namespace dotrelay
