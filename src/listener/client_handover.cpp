// See client_handover.hpp.
#include "listener/client_handover.hpp"

#include "dns/constants.hpp"
#include "dns/framing.hpp"
#include "net/descriptor_passing.hpp"
#include "net/sockets.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace dotrelay {
namespace {

/// A message: 4 or 6, sixteen octets of address, what has been read. Workers of different versions speak it.
constexpr std::size_t kHeadBytes = 17;
constexpr std::size_t kMaxMessageBytes = kHeadBytes + dns::kFramePrefix + dns::kMaxMessage;

constexpr int kMaxClientsPerTurn = 64;

/// The kernel limits descriptors on their way (ETOOMANYREFS) and its memory; neither shows in poll.
constexpr Duration kRetryDelay = std::chrono::milliseconds(10);

std::array<std::uint8_t, kHeadBytes> head_of(const IpAddress& source) {
  std::array<std::uint8_t, kHeadBytes> head{};
  head[0] = source.is_v6 ? 6 : 4;
  std::ranges::copy(source.octets, head.begin() + 1);
  return head;
}

}  // namespace

ClientHandover::ClientHandover(Loop& loop, UniqueFd channel, TcpClients& clients)
    : loop_(loop),
      clients_(clients),
      channel_(std::move(channel)),
      poller_(loop, channel_.get(), *this),
      retry_(loop, [this] { flush(); }) {}

ClientHandover::~ClientHandover() { clients_.forget(*this); }

void ClientHandover::pass(Handle<TcpSession> client) {
  waiting_.push_back(client);
  loop_.flush_at_turn_end(*this);
}

void ClientHandover::on_poll(bool, bool) noexcept { flush(); }

void ClientHandover::flush() noexcept {
  poller_.watch(false, false);
  for (; !waiting_.empty(); waiting_.pop_front()) {
    const TcpSession* const client = clients_.find(waiting_.front());
    if (client == nullptr) continue;
    const auto head = head_of(client->source());
    switch (send_message(channel_.get(), head, client->already_read(), client->fd())) {
      case 0:
        clients_.remove(waiting_.front());
        break;
      case EAGAIN:
        return poller_.watch(false, true);
      case ETOOMANYREFS:
      case ENOBUFS:
      case ENOMEM:
        return retry_.set(Clock::now() + kRetryDelay);
      default:
        waiting_.clear();
        return clients_.drain();
    }
  }
}

ClientReceiver::ClientReceiver(Loop& loop, UniqueFd channel, TcpClients& clients, SourceFilter& sources)
    : clients_(clients), sources_(sources), channel_(std::move(channel)), buffer_(kMaxMessageBytes) {
  poller_.emplace(loop, channel_.get(), static_cast<PollListener&>(*this));
  poller_->watch(true, false);
}

void ClientReceiver::on_poll(bool, bool) noexcept {
  for (int i = 0; i < kMaxClientsPerTurn && receive_one(); ++i) {
  }
}

void ClientReceiver::receive_all() {
  while (receive_one()) {
  }
}

/// False when nothing is there now.
bool ClientReceiver::receive_one() {
  if (ended()) return false;
  ReceivedMessage received = receive_message(channel_.get(), buffer_);
  if (received.status == ReceivedMessage::Status::nothing_yet) return false;
  if (received.status == ReceivedMessage::Status::end) {
    poller_.reset();
    channel_.reset();
    buffer_ = {};
    return false;
  }
  if (!received.fd || received.size < kHeadBytes) return true;
  IpAddress source;
  source.is_v6 = buffer_[0] == 6;
  std::copy_n(buffer_.begin() + 1, source.octets.size(), source.octets.begin());
  if (!sources_.allows(source)) {
    sources_.deny(source, "TCP", Clock::now());
    reset_on_close(received.fd.get());
    return true;
  }
  clients_.add(std::move(received.fd), source, Bytes(buffer_).subspan(kHeadBytes, received.size - kHeadBytes));
  return true;
}

}  // namespace dotrelay
