// Notices sockets of other processes at the relay's addresses: any process of the same user may join a SO_REUSEPORT
// group and gets its share of the queries, or all of those to a more specific address. The kernel does not ask, so all
// that can be done is to say so.
#pragma once

#include "base/log.hpp"
#include "net/handles.hpp"
#include "supervisor/listen_sockets.hpp"

#include <string>
#include <vector>

namespace dotrelay {

/// One line for each address and protocol at which others have sockets, too. Nothing when the kernel tells nothing;
/// then `asked` is false.
std::vector<std::string> strangers_at(const ListenSockets& sockets, bool& asked);

class PortWatch {
 public:
  static constexpr Duration kInterval = std::chrono::minutes(1);

  PortWatch(Loop& loop, Log& log, const ListenSockets& sockets);

  /// Looks now and then every kInterval. Whether sharing is wanted (listen.share_port) decides the level of the lines.
  void watch(bool share_port);

 private:
  void look();

  Log& log_;
  const ListenSockets& sockets_;
  bool share_port_ = false;
  Timer timer_;
};

}  // namespace dotrelay
