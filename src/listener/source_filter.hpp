// Which sources may ask: listen.allow, with what its words mean on this machine now. Sources that may not are counted,
// and told of in one line a minute for the whole relay.
#pragma once

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/shared_word.hpp"
#include "config/config.hpp"
#include "metrics/counters.hpp"
#include "net/interfaces.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace dotrelay {

class SourceFilter {
 public:
  /// Networks on this machine's links, and addresses of its own, that are known at most; further ones are not served,
  /// and the log says so once.
  static constexpr std::size_t kMaxNetworks = 256;
  static constexpr std::size_t kMaxOwnAddresses = 4096;
  static constexpr std::chrono::seconds kLogInterval{60};

  /// `told_at` is shared by all workers: when the latest line was written, in seconds; 0: never. The references outlive
  /// the filter.
  SourceFilter(const AllowList& allow, SharedWord& told_at, Counters& counters, Log& log)
      : allow_(allow), told_at_(told_at), counters_(counters), log_(log) {}

  /// Whether use() would change anything.
  [[nodiscard]] bool depends_on_interfaces() const { return allow_.own_addresses || allow_.link_networks; }

  /// From now on these are the machine's addresses.
  void use(const std::vector<InterfaceAddress>& addresses);

  [[nodiscard]] bool allows(const IpAddress& source) {
    if (source == latest_allowed_) return true;
    if (!allow_.contains(source) && !allowed_here(source)) return false;
    latest_allowed_ = source;
    return true;
  }

  /// Counts a datagram or connection of a source that may not ask. `protocol`: "UDP" or "TCP".
  [[gnu::cold]] void deny(const IpAddress& source, std::string_view protocol, TimePoint now);

 private:
  [[nodiscard]] bool allowed_here(const IpAddress& source) const;

  const AllowList& allow_;
  SharedWord& told_at_;
  Counters& counters_;
  Log& log_;
  std::vector<IpAddress> own_addresses_;     ///< sorted
  std::vector<AddressRange> link_networks_;  ///< each once
  std::optional<IpAddress> latest_allowed_;  ///< clients ask several questions in a row
  bool warned_ = false;
  std::uint64_t untold_ = 0;  ///< denied since the latest line of this worker
};

}  // namespace dotrelay
