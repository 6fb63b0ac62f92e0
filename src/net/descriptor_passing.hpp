// Messages between processes over a SOCK_SEQPACKET socket pair (unix(7)), each with at most one descriptor: how a
// worker gives a client's connection to its successor, and the supervisor a channel to a worker.
#pragma once

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace dotrelay {

/// Two connected ends, CLOEXEC and non-blocking. Nothing when descriptors are short.
std::optional<std::pair<UniqueFd, UniqueFd>> make_channel();

/// Sends `head` and `body` as one message, with a copy of `fd` unless it is -1. The message must not be empty. 0, or
/// the errno: EAGAIN when the channel is full, EPIPE or ECONNRESET when the other end has gone.
int send_message(int channel, Bytes head, Bytes body, int fd);

struct ReceivedMessage {
  enum class Status : std::uint8_t { message, nothing_yet, end };
  Status status = Status::nothing_yet;
  std::size_t size = 0;
  UniqueFd fd;  ///< CLOEXEC; none when none came, or when this process has no room for it
};

/// The next message, cut to the buffer. A broken channel reads as its end.
ReceivedMessage receive_message(int channel, MutableBytes buffer);

}  // namespace dotrelay
