// See tcp_listener.hpp.
#include "listener/tcp_listener.hpp"

#include "net/sockets.hpp"
#include "net/tcp_acceptor.hpp"

#include <algorithm>
#include <utility>

namespace dotrelay {
namespace {

constexpr int kMaxAcceptsPerTurn = 64;
/// Turns for which what was learned from an accept in vain counts.
constexpr int kTurnsLearned = 16;
constexpr int kMaxAcceptsAtDrain = 65536;

/// While descriptors are short and none of our own clients leaves. Long enough that trying costs nothing, short enough
/// that recovery takes no second.
constexpr Duration kPause = std::chrono::milliseconds(100);

}  // namespace

TcpListener::TcpListener(Loop& loop, int fd, TcpClients& clients, SourceFilter& sources, Counters& counters, Log& log)
    : fd_(fd),
      clients_(clients),
      sources_(sources),
      counters_(counters),
      log_(log),
      poller_(loop, fd, *this),
      resume_(loop, [this] { resume(); }) {
  disable_nagle(fd);  // here, because an earlier version may have opened the socket
  poller_.watch(true, false);
}

// An accept in vain costs as much as the kernel's part of a whole socket, one too few only waits for the next turn: so
// no more are tried than came before, and only now and then more.
void TcpListener::on_poll(bool, bool) noexcept {
  for (int accepted = 0; accepted < accepts_per_turn_; ++accepted) {
    if (accept_one()) continue;
    accepts_per_turn_ = std::max(1, accepted);
    turns_learned_ = kTurnsLearned;
    return;
  }
  if (turns_learned_ > 0) {
    --turns_learned_;
  } else {
    accepts_per_turn_ = std::min(2 * accepts_per_turn_, kMaxAcceptsPerTurn);
  }
}

void TcpListener::pause() {
  poller_.watch(false, false);
  if (std::exchange(paused_, true)) return;
  resume_.set(Clock::now() + kPause);
  clients_.tell_of_departure(*this);
}

void TcpListener::resume() {
  if (!std::exchange(paused_, false)) return;
  resume_.set(kNever);
  clients_.forget(*this);
  poller_.watch(true, false);
}

void TcpListener::stop() {
  paused_ = false;
  resume_.set(kNever);
  clients_.forget(*this);
  poller_.watch(false, false);
}

void TcpListener::drain() {
  for (int i = 0; i < kMaxAcceptsAtDrain && accept_one(); ++i) {
  }
  stop();
}

void TcpListener::leave() {
  drain();
  leave_port(fd_, Protocol::tcp);
}

/// False when nobody waits, or nobody can be served now.
bool TcpListener::accept_one() {
  AcceptResult accepted = accept_connection(fd_);
  switch (accepted.status) {
    case AcceptResult::Status::nothing_yet:
      return false;
    case AcceptResult::Status::gone:
      return true;
    case AcceptResult::Status::no_descriptors:
      counters_.add(Counter::accept_pauses);
      if (!warned_)
        log_.warning("no descriptor is left for another TCP client; raise the limit of open files (nofile)");
      warned_ = true;
      pause();
      return false;
    case AcceptResult::Status::accepted:
      break;
  }
  counters_.add(Counter::tcp_accepted);
  if (!sources_.allows(accepted.peer.address)) {
    sources_.deny(accepted.peer.address, "TCP", Clock::now());
    reset_on_close(accepted.fd.get());
    return true;
  }
  clients_.add(std::move(accepted.fd), accepted.peer.address);
  return true;
}

}  // namespace dotrelay
