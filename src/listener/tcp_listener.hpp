// Accepts TCP clients on one listening socket. Sources that may not ask are reset without reading; when descriptors run
// out, accepting pauses until a client leaves or a moment has passed; meanwhile clients wait in the kernel's queue.
#pragma once

#include "base/log.hpp"
#include "listener/source_filter.hpp"
#include "listener/tcp_clients.hpp"
#include "metrics/counters.hpp"
#include "net/handles.hpp"

namespace dotrelay {

class TcpListener final : private PollListener, private FlushTarget {
 public:
  /// `fd` listens and stays open as long as the listener lives, as do the references.
  TcpListener(Loop& loop, int fd, TcpClients& clients, SourceFilter& sources, Counters& counters, Log& log);
  ~TcpListener() override { clients_.forget(*this); }

  /// Accepts nobody any more: another process accepts those who wait.
  void stop();

  /// Accepts those who wait and then no more, with the port left to others for good, in every process that holds the
  /// socket.
  void leave();

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  void flush() noexcept override { resume(); }
  void drain();
  bool accept_one();
  void pause();
  void resume();

  int fd_;
  TcpClients& clients_;
  SourceFilter& sources_;
  Counters& counters_;
  Log& log_;
  Poller poller_;
  Timer resume_;
  int accepts_per_turn_ = 1;
  int turns_learned_ = 0;  ///< for which accepts_per_turn_ stays as it is
  bool paused_ = false;
  bool warned_ = false;
};

}  // namespace dotrelay
