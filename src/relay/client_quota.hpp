// How many queries each client address has waiting. Addresses are hashed to a fixed table: no memory grows with the
// number of clients, and two that share a place share its quota.
#pragma once

#include "base/address.hpp"
#include "base/siphash.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace dotrelay {

class ClientQuota {
 public:
  /// Queries waiting at once for one address (DNSBomb, CVE-2024-33655). Half of what a worker takes on: a node
  /// whose pods share one address still works, one client alone cannot take everything.
  static constexpr std::uint32_t kMaxWaiting = 32768;

  explicit ClientQuota(HashKey key) : key_(key), waiting_(kPlaces) {}

  /// Counts one more; what it returns goes to give_back(). Nothing when the address has kMaxWaiting.
  std::optional<std::uint32_t> take(const IpAddress& address) {
    const auto place = static_cast<std::uint32_t>(siphash(key_, address.bytes()) % kPlaces);
    if (waiting_[place] >= kMaxWaiting) return std::nullopt;
    ++waiting_[place];
    return place;
  }

  void give_back(std::uint32_t place) { --waiting_[place]; }

 private:
  static constexpr std::size_t kPlaces = 4096;

  HashKey key_;
  std::vector<std::uint16_t> waiting_;
};

}  // namespace dotrelay
