// How an answer finds its way back to the client that asked: the one thing the relay knows about listeners.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace dotrelay {

/// Names the client of one query to the channel it came from. It may outlive the client.
struct ClientKey {
  std::uint32_t index = 0;
  std::uint32_t serial = 0;
};

class ReplyChannel {
 public:
  virtual ~ReplyChannel() = default;

  /// Takes the answer to one query: called exactly once for each query that Forwarder::accept() left waiting, never
  /// from inside that function. The octets are valid during the call. A client that has gone is no error. Must not call
  /// the forwarder.
  virtual void deliver(ClientKey client, Bytes answer) noexcept = 0;
};

}  // namespace dotrelay
