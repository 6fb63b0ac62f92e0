// See address_watch.hpp.
#include "supervisor/address_watch.hpp"

#include <algorithm>
#include <utility>

namespace dotrelay {
namespace {

std::uint32_t interface_of_sockets(const GenerationParts& parts, const Endpoint& address) {
  for (const WorkerSockets& leases : parts.sockets) {
    for (const SocketLease& lease : leases) {
      if (lease.pair().address == address) return lease.pair().interface;
    }
  }
  return 0;
}

}  // namespace

AddressWatch::AddressWatch(Loop& loop, Log& log, std::function<void()> sockets_needed)
    : log_(log), sockets_needed_(std::move(sockets_needed)), timer_(loop, [this] { look(); }) {}

void AddressWatch::watch(const GenerationParts& parts) {
  awaited_.clear();
  for (const Endpoint& address : parts.config.listen.addresses) {
    const Presence presence = presence_of(address);
    const bool settled = presence == Presence::here || presence == Presence::no_family;
    if (settled && address.scope.empty()) continue;
    awaited_.push_back({address, presence, interface_of_sockets(parts, address)});
  }
  look_again();
}

void AddressWatch::look() {
  bool needed = false;
  for (Awaited& awaited : awaited_) {
    const Presence before = std::exchange(awaited.presence, presence_of(awaited.address));
    if (awaited.presence == Presence::here && before != Presence::here) {
      log_.info(awaited.address.to_text() + " is an address of this machine now");
    }
    if (awaited.address.scope.empty()) continue;
    const std::uint32_t interface = interface_index(awaited.address.scope);
    if (interface == 0 || interface == awaited.interface) continue;
    awaited.interface = interface;
    needed = true;
  }
  std::erase_if(awaited_, [](const Awaited& awaited) {
    return awaited.presence == Presence::here && awaited.address.scope.empty();
  });
  look_again();
  if (needed) sockets_needed_();
}

void AddressWatch::look_again() { timer_.set(awaited_.empty() ? kNever : Clock::now() + kInterval); }

}  // namespace dotrelay
