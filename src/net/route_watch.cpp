// See route_watch.hpp.
#include "net/route_watch.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

/// Some hundred events. When more come before they are read, the kernel says so, and that is a change as well.
constexpr int kReceiveBufferBytes = 32 * 1024;

/// Bounds one reading; what is left then is the next event.
constexpr int kMaxReads = 512;

// A link that goes down takes its IPv4 routes with it without an event for each: hence the links.
constexpr unsigned kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

UniqueFd open_netlink(int& error) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) {
    error = errno;
    return {};
  }
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kGroups;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    error = errno;
    return {};
  }
  return fd;
}

}  // namespace

RouteWatch::RouteWatch(Loop& loop, std::function<void()> changed)
    : changed_(std::move(changed)), socket_(open_netlink(error_)), timer_(loop, [this] { tell(); }) {
  if (!socket_) return;
  poller_.emplace(loop, socket_.get(), static_cast<PollListener&>(*this));
  poller_->watch(true, false);
}

/// The events of a burst stay unread until it is told of, so they do not wake the loop.
void RouteWatch::on_poll(bool, bool) noexcept {
  poller_->watch(false, false);
  const TimePoint now = Clock::now();
  const TimePoint soon = now + kSettleTime;
  timer_.set(last_told_ == TimePoint::min() ? soon : std::max(soon, last_told_ + kMinInterval));
}

void RouteWatch::tell() {
  char cut_off[1];
  for (int i = 0; i < kMaxReads; ++i) {
    // ENOBUFS: events were lost.
    if (recv(socket_.get(), cut_off, sizeof cut_off, MSG_DONTWAIT) < 0 && errno != EINTR && errno != ENOBUFS) break;
  }
  poller_->watch(true, false);
  last_told_ = Clock::now();
  changed_();
}

}  // namespace dotrelay
