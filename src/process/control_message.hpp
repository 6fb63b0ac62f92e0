// What supervisor and worker say to each other on the control socket (SOCK_SEQPACKET). End of file tells a worker that
// the supervisor stops or has gone. After an upgrade the two are of different versions: a meaning never changes, and
// what is unknown is skipped.
#pragma once

#include "base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dotrelay {

struct ControlMessage {
  enum class Kind : std::uint8_t {
    nothing_yet,
    end,
    unknown,
    ready,         ///< from the worker: it could serve
    serve,         ///< read the listeners from now on
    take_clients,  ///< clients come through `channel`
    hand_over,     ///< read the listeners no more, pass all clients on through `channel`, exit
  };
  Kind kind = Kind::nothing_yet;
  UniqueFd channel;
  std::vector<bool> left;  ///< of each address: it is no longer read, so its port is left

  [[nodiscard]] bool leaves(std::size_t address) const { return address < left.size() && left[address]; }
};

void say_ready(int control);
void send_serve(int control);
void send_take_clients(int control, int channel);
/// `channel` may be -1: then the clients drain.
void send_hand_over(int control, const std::vector<bool>& left, int channel);

ControlMessage receive_control(int control);

}  // namespace dotrelay
