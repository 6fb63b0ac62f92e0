// Queries over UDP on one socket: read in batches, answered in batches, each from the address it was sent to.
#pragma once

#include "base/slab.hpp"
#include "listener/source_filter.hpp"
#include "metrics/counters.hpp"
#include "net/datagrams.hpp"
#include "net/handles.hpp"
#include "relay/forwarder.hpp"
#include "relay/reply_channel.hpp"

namespace dotrelay {

class UdpListener final : public ReplyChannel, private PollListener, private FlushTarget {
 public:
  /// `fd` is bound and stays open as long as the listener lives, as do the references.
  UdpListener(Loop& loop, int fd, Forwarder& forwarder, SourceFilter& sources, Counters& counters);

  void deliver(ClientKey client, Bytes answer) noexcept override;

  /// Reads no more: another process reads what is in the socket. Answers still leave.
  void stop();

  /// Reads what has arrived and then no more, with the port left to others for good, in every process that holds the
  /// socket.
  void leave_port();

  /// Gives back memory that a flood of queries took.
  void shrink() { waiting_.shrink(); }

  /// No answer waits to be sent.
  [[nodiscard]] bool flushed() const { return sender_.empty(); }

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  void flush() noexcept override;

  void drain();
  bool receive_batch();
  void take(const Datagram& datagram, TimePoint now);
  void answer(const DatagramRoute& route, Bytes message);
  void send_queued();

  Loop& loop_;
  int fd_;
  Forwarder& forwarder_;
  SourceFilter& sources_;
  Counters& counters_;
  Poller poller_;
  DatagramReceiver receiver_;
  DatagramSender sender_;
  Slab<DatagramRoute> waiting_;
  bool draining_ = false;
  bool blocked_ = false;  ///< the socket's buffer is full
};

}  // namespace dotrelay
