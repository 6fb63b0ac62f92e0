// See udp_listener.hpp.
#include "listener/udp_listener.hpp"

#include "listener/reflectors.hpp"
#include "net/sockets.hpp"

namespace dotrelay {
namespace {

/// Batches in one turn: a flood of queries must not keep upstream answers and TCP clients waiting.
constexpr int kMaxBatchesPerTurn = 8;

/// When draining: no more than the kernel's buffer can hold by far, so that a flood cannot prolong the end.
constexpr int kMaxBatchesAtDrain = 1024;

}  // namespace

UdpListener::UdpListener(Loop& loop, int fd, Forwarder& forwarder, SourceFilter& sources, Counters& counters)
    : loop_(loop),
      fd_(fd),
      forwarder_(forwarder),
      sources_(sources),
      counters_(counters),
      poller_(loop, fd, *this),
      receiver_(fd) {
  poller_.watch(true, false);
}

void UdpListener::on_poll(bool readable, bool writable) noexcept {
  if (readable && !draining_) {
    for (int i = 0; i < kMaxBatchesPerTurn && receive_batch(); ++i) {
    }
  }
  if (writable) send_queued();
  poller_.watch(!draining_, blocked_);
}

void UdpListener::stop() {
  draining_ = true;
  poller_.watch(false, blocked_);
}

void UdpListener::drain() {
  for (int i = 0; i < kMaxBatchesAtDrain && receive_batch(); ++i) {
  }
  stop();
}

void UdpListener::leave_port() {
  dotrelay::leave_port(fd_, Protocol::udp);
  drain();
}

/// False when nothing more is there.
bool UdpListener::receive_batch() {
  const std::span<const Datagram> batch = receiver_.receive();
  const TimePoint now = loop_.now();
  for (const Datagram& datagram : batch) take(datagram, now);
  return batch.size() == DatagramReceiver::kBatch;
}

void UdpListener::take(const Datagram& datagram, TimePoint now) {
  const Endpoint peer = datagram.route.endpoint();
  if (is_reflector(peer.port)) [[unlikely]] {
    counters_.add(Counter::reflections);
    return;
  }
  if (!sources_.allows(peer.address)) [[unlikely]] {
    sources_.deny(peer.address, "UDP", now);
    return;
  }
  const Handle<DatagramRoute> handle = waiting_.emplace(datagram.route);
  const Accepted accepted = forwarder_.accept({.message = datagram.payload,
                                               .source = peer.address,
                                               .transport = {},
                                               .channel = this,
                                               .client = {handle.index, handle.serial}},
                                              now);
  if (accepted.kind == Accepted::Kind::waiting) return;
  waiting_.erase(handle);
  if (accepted.kind == Accepted::Kind::answered) answer(datagram.route, accepted.answer);
}

void UdpListener::deliver(ClientKey client, Bytes message) noexcept {
  const Handle<DatagramRoute> handle{client.index, client.serial};
  answer(waiting_.get(handle), message);
  waiting_.erase(handle);
}

void UdpListener::answer(const DatagramRoute& route, Bytes message) {
  if (sender_.full()) send_queued();
  if (sender_.full()) {
    counters_.add(Counter::udp_unsent);
    return;
  }
  sender_.queue(route, message);
  loop_.flush_at_turn_end(*this);
}

void UdpListener::flush() noexcept {
  send_queued();
  poller_.watch(!draining_, blocked_);
}

void UdpListener::send_queued() {
  counters_.add(Counter::udp_unsent, sender_.send(fd_));
  blocked_ = !sender_.empty();
}

}  // namespace dotrelay
