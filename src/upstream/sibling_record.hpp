// What workers of one generation say to each other through their mailboxes: one record a message of the socket. A
// worker that runs wild can write anything there, so a record is read as what comes from the network is.
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"
#include "relay/siblings.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace dotrelay {

struct SiblingRecord {
  enum class Kind : std::uint8_t {
    query = 1,  ///< from the borrower, for an address
    answer,     ///< from the lender
    refused,    ///< from the lender: the way is closed, and nothing on it has been sent upstream
    closed,     ///< from the lender: the way is closed
    left,       ///< from the borrower: it wants no answers any more
    died,       ///< from the supervisor: the worker has ended
  };

  static constexpr std::size_t kHeadBytes = 9;
  static constexpr std::size_t kMaxBytes = kHeadBytes + dns::kMaxMessage;

  Kind kind = Kind::query;
  std::uint16_t worker = 0;   ///< that says it, from 1; of `died`: that it is about
  std::uint32_t link = 0;     ///< the borrower's name for the way
  std::uint16_t address = 0;  ///< of a query: Config::address_number()
  Bytes message = {};         ///< of a query, at least a DNS header; of an answer, which may be cut, at least its ID

  /// What stands before the message.
  [[nodiscard]] std::array<std::uint8_t, kHeadBytes> head() const;

  /// Nothing when the octets are no record. The message is a view of them.
  static std::optional<SiblingRecord> read(Bytes octets);
};

}  // namespace dotrelay
