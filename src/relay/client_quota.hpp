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

  explicit ClientQuota(HashKey key) : key_(key), waiting_(kPlaces), latest_place_(place_of(latest_)) {}

  /// Counts one more; what it returns goes to give_back(). Nothing when the address has kMaxWaiting.
  std::optional<std::uint32_t> take(const IpAddress& address) {
    if (address != latest_) {
      latest_ = address;
      latest_place_ = place_of(address);
    }
    const std::uint32_t place = latest_place_;
    if (waiting_[place] >= kMaxWaiting) return std::nullopt;
    ++waiting_[place];
    return place;
  }

  void give_back(std::uint32_t place) { --waiting_[place]; }

 private:
  static constexpr std::size_t kPlaces = 4096;

  [[nodiscard]] std::uint32_t place_of(const IpAddress& address) const {
    return static_cast<std::uint32_t>(siphash(key_, address.bytes()) % kPlaces);
  }

  HashKey key_;
  std::vector<std::uint16_t> waiting_;
  IpAddress latest_;  ///< clients ask several questions in a row
  std::uint32_t latest_place_;
};

}  // namespace dotrelay
