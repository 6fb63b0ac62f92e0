// What listeners hand to the forwarder, and what they get back.
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "dns/client_response.hpp"
#include "relay/reply_channel.hpp"

#include <cstdint>

namespace dotrelay {

/// A message from a client. The octets are only read during Forwarder::accept().
struct Incoming {
  Bytes message;
  IpAddress source;
  dns::Transport transport;
  ReplyChannel* channel = nullptr;
  ClientKey client;
};

/// What became of a message.
struct Accepted {
  enum class Kind : std::uint8_t {
    ignored,   ///< there will be no answer
    answered,  ///< `answer` is the answer; valid until the next call on the forwarder
    waiting,   ///< the channel's deliver() will be called once
  };
  Kind kind = Kind::ignored;
  Bytes answer;
};

}  // namespace dotrelay
