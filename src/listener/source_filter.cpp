// See source_filter.hpp.
#include "listener/source_filter.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace dotrelay {

void SourceFilter::use(const std::vector<InterfaceAddress>& addresses) {
  latest_allowed_.reset();
  own_addresses_.clear();
  link_networks_.clear();
  bool complete = true;
  for (const InterfaceAddress& entry : addresses) {
    if (allow_.own_addresses) {
      complete = complete && own_addresses_.size() < kMaxOwnAddresses;
      if (own_addresses_.size() < kMaxOwnAddresses) own_addresses_.push_back(entry.address);
    }
    // A prefix of no bits would allow every source.
    if (!allow_.link_networks || !entry.on_link || entry.prefix_length == 0) continue;
    const AddressRange network = network_of(entry.address, entry.prefix_length);
    if (std::ranges::find(link_networks_, network) != link_networks_.end()) continue;
    complete = complete && link_networks_.size() < kMaxNetworks;
    if (link_networks_.size() < kMaxNetworks) link_networks_.push_back(network);
  }
  std::ranges::sort(own_addresses_);
  if (!complete && !std::exchange(warned_, true)) {
    log_.warning("this machine has more than " + std::to_string(kMaxOwnAddresses) + " addresses or " +
                 std::to_string(kMaxNetworks) + " networks on its links: listen.allow covers the first ones only");
  }
}

bool SourceFilter::allowed_here(const IpAddress& source) const {
  return std::ranges::binary_search(own_addresses_, source) ||
         std::ranges::any_of(link_networks_, [&](const AddressRange& network) { return network.contains(source); });
}

void SourceFilter::deny(const IpAddress& source, std::string_view protocol, TimePoint now) {
  counters_.add(Counter::denied);
  ++untold_;
  const auto seconds =
      static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()) | 1U;
  std::uint32_t told_at = told_at_.load(std::memory_order_relaxed);
  if (told_at != 0 && seconds - told_at < static_cast<std::uint32_t>(kLogInterval.count())) return;
  if (!told_at_.compare_exchange_strong(told_at, seconds, std::memory_order_relaxed)) return;
  const std::uint64_t others = std::exchange(untold_, 0) - 1;
  log_.info("denied " + source.to_text() + " over " + std::string(protocol) + ": listen.allow does not list it" +
            (others == 0 ? "" : "; and " + std::to_string(others) + " queries and connections before it"));
}

}  // namespace dotrelay
