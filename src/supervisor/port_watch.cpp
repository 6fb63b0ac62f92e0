// See port_watch.hpp.
#include "supervisor/port_watch.hpp"

#include "net/socket_diag.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// What is sent to `own` can arrive at the other socket.
bool takes_from(const Endpoint& own, const BoundSocket& other) {
  return own.address == other.address.address || own.address.is_unspecified();
}

/// Of the relay's own sockets, in order.
std::vector<std::uint64_t> own_inodes(const std::list<SocketPair>& pairs) {
  std::vector<std::uint64_t> inodes;
  for (const SocketPair& pair : pairs) {
    for (const int fd : {pair.udp.get(), pair.tcp.get()}) inodes.push_back(inode_of(fd));
  }
  std::ranges::sort(inodes);
  return inodes;
}

std::string line(const Endpoint& address, Protocol protocol, const std::vector<BoundSocket>& others) {
  std::string text = address.to_text() + (protocol == Protocol::udp ? " (UDP)" : " (TCP)") + ": other processes have " +
                     std::to_string(others.size()) + (others.size() == 1 ? " socket" : " sockets") +
                     " at this address and get a share of the queries: ";
  text += others.front().address.to_text() + " of user " + std::to_string(others.front().user);
  return text + (others.size() > 1 ? ", ..." : "");
}

}  // namespace

std::vector<std::string> strangers_at(const ListenSockets& sockets, bool& asked) {
  asked = true;
  const std::list<SocketPair>& pairs = sockets.pairs();
  // Of what an earlier program left to its workers the inodes are not known.
  if (std::ranges::any_of(pairs, [](const SocketPair& pair) { return !pair.udp || !pair.tcp; })) return {};
  const std::vector<std::uint64_t> own = own_inodes(pairs);
  std::vector<std::string> lines;
  std::vector<Endpoint> seen;
  for (const SocketPair& pair : pairs) {
    if (pair.stage == SocketPair::Stage::opened || std::ranges::find(seen, pair.address) != seen.end()) continue;
    seen.push_back(pair.address);
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
      auto others = sockets_at_port(protocol, pair.address.address.is_v6, pair.address.port);
      asked = others.has_value();
      if (!asked) return {};
      std::erase_if(*others, [&](const BoundSocket& other) {
        return !takes_from(pair.address, other) || std::ranges::binary_search(own, other.inode);
      });
      if (!others->empty()) lines.push_back(line(pair.address, protocol, *others));
    }
  }
  return lines;
}

PortWatch::PortWatch(Loop& loop, Log& log, const ListenSockets& sockets)
    : log_(log), sockets_(sockets), timer_(loop, [this] { look(); }) {}

void PortWatch::watch(bool share_port) {
  share_port_ = share_port;
  look();
}

void PortWatch::look() {
  bool asked = false;
  for (const std::string& text : strangers_at(sockets_, asked)) share_port_ ? log_.info(text) : log_.warning(text);
  // Where the kernel does not tell it will not do so later either, and asking may have it look for a module each time.
  timer_.set(asked ? Clock::now() + kInterval : kNever);
}

}  // namespace dotrelay
