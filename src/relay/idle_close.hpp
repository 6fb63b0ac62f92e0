// After which time a server closes idle connections, learned from when it does: then the relay closes a little before,
// and no query meets a connection that is just being closed. RFC 7766 6.2.3 leaves the time to the server; public
// resolvers take 2 to 30 s.
#pragma once

#include "base/clock.hpp"
#include "relay/shared_health.hpp"

#include <algorithm>
#include <utility>

namespace dotrelay {

class IdleClose {
 public:
  /// Idle connections are closed then when the server does not.
  static constexpr Duration kMost = std::chrono::seconds(30);
  /// A server that closes sooner than this has another reason.
  static constexpr Duration kLeast = std::chrono::milliseconds(250);

  /// What is learned goes to `shared`, for all workers.
  explicit IdleClose(SharedHealth& shared) : shared_(shared) {}

  [[nodiscard]] bool known() const { return learned() != Duration{}; }

  /// How long a connection to this server may be idle.
  [[nodiscard]] Duration limit() const {
    const Duration learned = this->learned();
    return learned == Duration{} ? kMost : learned - std::max<Duration>(learned / 16, std::chrono::milliseconds(20));
  }

  /// The server has closed a connection that had been idle for so long. It counts when it has done so twice in a row:
  /// one time may be its restart.
  void on_server_closed(Duration idle) {
    if (idle < kLeast || idle > kMost) return;
    const Duration before = std::exchange(latest_, idle);
    if (idle < before * 4 / 5 || idle > before * 5 / 4) return;
    store(std::min(idle, before));
  }

  /// The relay has closed at limit(), before the server did, which may have changed its mind: wait longer next time.
  void on_own_close() {
    if (known()) store(learned() + learned() / 64);
  }

 private:
  [[nodiscard]] Duration learned() const {
    const Duration stored = std::chrono::milliseconds(shared_.idle_close_ms.load(std::memory_order_relaxed));
    return stored == Duration{} ? stored : std::clamp<Duration>(stored, kLeast, kMost);
  }
  void store(Duration idle) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(std::min(idle, kMost)).count();
    shared_.idle_close_ms.store(static_cast<std::uint32_t>(milliseconds), std::memory_order_relaxed);
  }

  SharedHealth& shared_;
  Duration latest_{};
};

}  // namespace dotrelay
