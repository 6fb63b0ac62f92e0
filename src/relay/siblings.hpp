// The other workers of the relay, as the forwarder sees them: a worker that can get no connection to an upstream
// address sends its queries through one of theirs. To the borrower such a way is a Connection like any other; the
// lender answers to a Borrower. upstream/sibling_post implements it over sockets; tests over nothing.
#pragma once

#include "base/bytes.hpp"
#include "relay/connection.hpp"

#include <cstdint>
#include <memory>

namespace dotrelay {

/// One way through this worker that a sibling uses.
struct Borrower {
  std::uint16_t worker = 0;  ///< its number, from 1
  std::uint32_t link = 0;    ///< its name for the way

  friend bool operator==(const Borrower&, const Borrower&) = default;
};

class Siblings {
 public:
  virtual ~Siblings() = default;

  /// A way through worker number `worker` (from 1) to an address, by Config::address_number(). It is ready at once.
  virtual std::unique_ptr<Connection> connect(std::uint16_t worker, std::size_t address, ConnectionHandle handle) = 0;

  /// Sends the borrower the answer to one of its queries, under its ID.
  virtual void answer(const Borrower& borrower, Bytes message) = 0;

  /// Tells the borrower that no more answers come on this way. `asked`: some of its queries have been sent upstream.
  virtual void close(const Borrower& borrower, bool asked) = 0;
};

}  // namespace dotrelay
