// How many error answers of the relay's own the networks of clients get over UDP. Sources of datagrams can be forged,
// and an error needs no upstream: without a limit the relay would be a fast mirror, or answer a peer that answers
// everything for ever. Networks are hashed to a fixed table of token buckets, so two networks may share one.
#pragma once

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/siphash.hpp"

#include <algorithm>
#include <vector>

namespace dotrelay {

class ErrorLimit {
 public:
  /// Error answers a second for one network in the long run, and at once after a pause.
  static constexpr int kPerSecond = 100;
  static constexpr int kBurst = 1000;
  /// What is one network: the defaults of response rate limiting in BIND and Knot DNS.
  static constexpr int kIpv4Bits = 24;
  static constexpr int kIpv6Bits = 56;

  explicit ErrorLimit(HashKey key) : key_(key), spent_until_(kPlaces) {}

  /// Whether one more error answer may go to `source`.
  [[gnu::cold]] bool take(const IpAddress& source, TimePoint now) {
    SipHash hash(key_);
    hash.absorb(network_number(source, kIpv4Bits, kIpv6Bits));
    // The bucket is full when its tokens are spent until a whole burst ago, and empty when they are spent until now.
    TimePoint& spent_until = spent_until_[hash.result() % kPlaces];
    const TimePoint since = std::max(spent_until, now - kBurst * kInterval);
    if (since + kInterval > now) return false;
    spent_until = since + kInterval;
    return true;
  }

 private:
  static constexpr Duration kInterval = Duration(std::chrono::seconds(1)) / kPerSecond;
  static constexpr std::size_t kPlaces = 1024;

  HashKey key_;
  std::vector<TimePoint> spent_until_;
};

}  // namespace dotrelay
