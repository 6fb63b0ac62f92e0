// Tells when this machine's addresses, routes or links have changed (netlink, RFC 3549), so that connections over a way
// that is gone are not kept until they time out. What has changed is not read: the forwarder asks the kernel about its
// own connections.
#pragma once

#include "base/unique_fd.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"

#include <functional>
#include <optional>

namespace dotrelay {

class RouteWatch final : private PollListener {
 public:
  /// From the first event of a burst to the call: a link that comes up brings addresses and routes with it.
  static constexpr Duration kSettleTime = std::chrono::milliseconds(100);
  /// Between two calls, however many events there are: a node that starts containers all day costs two calls a second.
  static constexpr Duration kMinInterval = std::chrono::milliseconds(500);

  /// `changed` must not destroy the watch. Where the kernel gives no netlink socket (a sandbox), nothing is ever told.
  RouteWatch(Loop& loop, std::function<void()> changed);

  [[nodiscard]] bool active() const { return poller_.has_value(); }
  /// The errno of a watch that is not active.
  [[nodiscard]] int error() const { return error_; }

 private:
  void on_poll(bool readable, bool writable) noexcept override;
  void tell();

  std::function<void()> changed_;
  int error_ = 0;
  UniqueFd socket_;
  Timer timer_;
  std::optional<Poller> poller_;  // closed before the descriptor
  TimePoint last_told_ = TimePoint::min();
};

}  // namespace dotrelay
