// Accepting TCP connections from a listening descriptor that another process bound and holds: how many in a turn, and a
// pause while descriptors are short. Clients wait in the kernel's queue meanwhile.
#pragma once

#include "base/address.hpp"
#include "base/unique_fd.hpp"
#include "net/accept_pace.hpp"
#include "net/freed_descriptors.hpp"
#include "net/handles.hpp"

#include <cstdint>

namespace dotrelay {

struct AcceptResult {
  enum class Status : std::uint8_t {
    accepted,
    nothing_yet,
    no_descriptors,  ///< EMFILE and its kin: waiting clients stay queued in the kernel
    gone,            ///< the client left before it was accepted: try the next
  };
  Status status = Status::nothing_yet;
  UniqueFd fd;  ///< non-blocking, CLOEXEC
  Endpoint peer;
};

AcceptResult accept_connection(int listening_fd);

class Acceptor final : private FlushTarget {
 public:
  /// While descriptors are short and none is freed. Long enough that trying costs nothing, short enough that recovery
  /// takes no second.
  static constexpr Duration kPause = std::chrono::milliseconds(100);

  /// `fd` listens and stays open as long as the acceptor lives, as do the references. `owner` hears when connections
  /// wait, and calls next() then.
  Acceptor(Loop& loop, int fd, PollListener& owner, FreedDescriptors& freed);
  ~Acceptor() override { freed_.forget(*this); }

  /// The next connection of this turn. To be called until it is "nothing_yet", which may mean that enough were accepted
  /// in this turn, or "no_descriptors", with which a pause begins: until a descriptor is freed, or kPause is over.
  AcceptResult next();

  /// The next connection, however many were accepted in this turn. It may begin a pause.
  AcceptResult accept();

  /// Accepts no more clients: another process accepts those that wait.
  void stop();

  /// Also leaves the port to others for good, in every process that holds the socket. Clients that wait are reset.
  void leave_port();

 private:
  void flush() noexcept override { resume(); }
  [[gnu::cold]] void pause();
  void resume();
  /// False when there was none.
  bool end_pause();

  int fd_;
  FreedDescriptors& freed_;
  Poller poller_;
  Timer resume_;
  AcceptPace pace_;
  bool paused_ = false;
};

}  // namespace dotrelay
