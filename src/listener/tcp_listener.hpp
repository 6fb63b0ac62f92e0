// Accepts TCP clients on one listening socket. Sources that may not ask are reset without reading; when descriptors run
// out, accepting pauses (net/acceptor).
#pragma once

#include "base/log.hpp"
#include "listener/source_filter.hpp"
#include "listener/tcp_clients.hpp"
#include "metrics/counters.hpp"
#include "net/acceptor.hpp"
#include "net/handles.hpp"

namespace dotrelay {

class TcpListener final : private PollListener {
 public:
  struct Reports {
    Counters& counters;
    Log& log;
  };

  /// `fd` listens and stays open as long as the listener lives, as do the references.
  TcpListener(Loop& loop, int fd, TcpClients& clients, SourceFilter& sources, const Reports& reports);

  /// Accepts no more clients: another process accepts those that wait.
  void stop() { acceptor_.stop(); }

  /// Accepts the clients that wait and then no more, with the port left to others for good, in every process that holds
  /// the socket.
  void leave_port();

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  bool take(AcceptResult accepted);
  [[gnu::cold]] void note_shortage();

  TcpClients& clients_;
  SourceFilter& sources_;
  Counters& counters_;
  Log& log_;
  Acceptor acceptor_;
  bool warned_ = false;
};

}  // namespace dotrelay
