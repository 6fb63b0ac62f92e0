// Accepting TCP connections from a listening descriptor that somebody else bound and holds.
#pragma once

#include "base/address.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>

namespace dotrelay {

struct AcceptResult {
  enum class Status : std::uint8_t {
    accepted,
    nothing_yet,
    no_descriptors,  ///< EMFILE and its kin: waiting clients stay queued in the kernel
    gone,            ///< the client left before it was accepted: try the next
  };
  Status status = Status::nothing_yet;
  UniqueFd fd;  ///< non-blocking, CLOEXEC
  Endpoint peer;
};

AcceptResult accept_connection(int listening_fd);

}  // namespace dotrelay
