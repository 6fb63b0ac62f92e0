// See tcp_listener.hpp.
#include "listener/tcp_listener.hpp"

#include "net/sockets.hpp"

#include <utility>

namespace dotrelay {
namespace {

/// When leaving: no more than the kernel's queue can hold by far, so that a flood cannot prolong the end.
constexpr int kMaxAcceptsAtEnd = 65536;

}  // namespace

TcpListener::TcpListener(Loop& loop, int fd, TcpClients& clients, SourceFilter& sources, const Reports& reports)
    : clients_(clients),
      sources_(sources),
      counters_(reports.counters),
      log_(reports.log),
      acceptor_(loop, fd, *this, clients.freed_descriptors()) {
  disable_nagle(fd);  // here, because an earlier version may have opened the socket
}

void TcpListener::on_poll(bool, bool) noexcept {
  while (take(acceptor_.next())) {
  }
}

void TcpListener::leave_port() {
  for (int i = 0; i < kMaxAcceptsAtEnd && take(acceptor_.accept()); ++i) {
  }
  acceptor_.leave_port();
}

/// False when no client waits, or none can be served now.
bool TcpListener::take(AcceptResult accepted) {
  switch (accepted.status) {
    case AcceptResult::Status::nothing_yet:
      return false;
    case AcceptResult::Status::gone:
      return true;
    case AcceptResult::Status::no_descriptors:
      note_shortage();
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

void TcpListener::note_shortage() {
  counters_.add(Counter::accept_pauses);
  if (std::exchange(warned_, true)) return;
  log_.warning("no descriptor is left for another TCP client; raise the limit of open files (nofile)");
}

}  // namespace dotrelay
