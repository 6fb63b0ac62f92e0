// What each client has of the relay: queries waiting, and questions begun for it. A client is an IPv4 address or an
// IPv6 /56, the least that one site is given (RFC 6177), since a client may use all of that. No memory grows with the
// number of clients: they are hashed to a fixed table, in which one that has something keeps its place for itself. Only
// when all places that a client can have are taken does it share one, the one with the least.
#pragma once

#include "base/address.hpp"
#include "base/siphash.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

namespace dotrelay {

class ClientQuota {
 public:
  /// A client may have so many times as much as is left for all. So one that is alone can have half of the waiting
  /// places (which also bounds how many answers can be made to arrive at once: DNSBomb, CVE-2024-33655) and three
  /// quarters of the questions, as a node whose pods share one address needs; and whatever a client takes, others find
  /// room.
  static constexpr std::size_t kWaitingShare = 1;
  static constexpr std::size_t kBegunShare = 3;

  /// A client with more than this part of all that wait is greedy, but not with a few queries.
  static constexpr std::size_t kGreedyPart = 4;
  static constexpr std::size_t kFew = 64;

  static constexpr int kIpv4Bits = 32;
  static constexpr int kIpv6Bits = 56;

  /// Where a client's numbers stand. Valid as long as the client has anything.
  using Place = std::uint32_t;

  explicit ClientQuota(HashKey key) : key_(key), shares_(kSets * kWays) {}

  Place place_of(const IpAddress& address) {
    const std::uint64_t network = network_number(address, kIpv4Bits, kIpv6Bits);
    if (shares_[latest_].network != network) latest_ = find(network);
    return latest_;
  }

  /// Queries of the client that wait.
  [[nodiscard]] std::uint32_t waiting(Place place) const { return shares_[place].waiting; }

  /// Whether the client may have one more, when there is `room` for so many more of all clients.
  [[nodiscard]] bool may_wait(Place place, std::size_t room) const {
    return shares_[place].waiting < kWaitingShare * room;
  }
  [[nodiscard]] bool may_begin(Place place, std::size_t room) const {
    return shares_[place].begun < kBegunShare * room;
  }

  /// Whether the client has more than a few queries, and more than a quarter of all `waiting`.
  [[nodiscard]] bool is_greedy(Place place, std::size_t waiting) const {
    return shares_[place].waiting > std::max(kFew, waiting / kGreedyPart);
  }

  void waits(Place place) { ++shares_[place].waiting; }
  void waits_no_more(Place place) { --shares_[place].waiting; }
  void begins(Place place) { ++shares_[place].begun; }
  void ends(Place place) { --shares_[place].begun; }

 private:
  static constexpr std::size_t kSets = 512;
  static constexpr std::size_t kWays = 4;

  struct Share {
    std::uint64_t network = 0;
    std::uint32_t waiting = 0;
    std::uint32_t begun = 0;

    [[nodiscard]] std::uint32_t load() const { return waiting + begun; }
  };

  Place find(std::uint64_t network) {
    SipHash hash(key_);
    hash.absorb(network);
    const std::span<Share> set = std::span(shares_).subspan(hash.result() % kSets * kWays, kWays);
    auto share = std::ranges::find(set, network, &Share::network);
    if (share == set.end()) share = std::ranges::min_element(set, {}, &Share::load);
    if (share->load() == 0) share->network = network;
    return static_cast<Place>(&*share - shares_.data());
  }

  HashKey key_;
  std::vector<Share> shares_;
  Place latest_ = 0;  ///< clients ask several questions in a row
};

}  // namespace dotrelay
