// Waits for listen addresses that this machine does not have yet. Sockets are bound to most of them already, and then
// there is only something to tell; those of an interface that has just come, or was made anew, need new sockets.
#pragma once

#include "base/log.hpp"
#include "net/handles.hpp"
#include "net/host_addresses.hpp"
#include "supervisor/generation.hpp"

#include <functional>
#include <vector>

namespace dotrelay {

class AddressWatch {
 public:
  /// Between two looks, a few system calls each, and only as long as there is something to wait for.
  static constexpr Duration kInterval = std::chrono::seconds(1);

  /// `sockets_needed` is called when an address of the configuration can be bound that has no sockets.
  AddressWatch(Loop& loop, Log& log, std::function<void()> sockets_needed);

  /// The generation that serves from now on.
  void watch(const GenerationParts& parts);

 private:
  struct Awaited {
    Endpoint address;
    Presence presence;
    std::uint32_t interface;  ///< of its sockets; 0: none
  };

  void look();
  void look_again();

  Log& log_;
  std::function<void()> sockets_needed_;
  std::vector<Awaited> awaited_;
  Timer timer_;
};

}  // namespace dotrelay
