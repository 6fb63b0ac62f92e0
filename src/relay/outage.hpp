// A time in which queries wait and no upstream that may serve them is usable. When it lasts, each further query waits
// only shortly: a stub resolver with a second nameserver goes on, and a person learns the cause. Dials go on as before.
#pragma once

#include "base/clock.hpp"
#include "relay/upstream_mask.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace dotrelay {

class Outage {
 public:
  /// After this time a query waits at most kShortWait (or its deadline, when that is less).
  static constexpr Duration kLong = std::chrono::seconds(10);
  static constexpr Duration kShortWait = std::chrono::seconds(1);
  /// When no query has come for so long, nothing is known of the present: the next query begins a new outage.
  static constexpr Duration kRemembered = std::chrono::minutes(5);

  /// A query waits, and nothing is usable.
  void on_wait(TimePoint now) {
    if (!since_ || now - latest_ > kRemembered) since_ = now;
    latest_ = now;
  }

  [[nodiscard]] bool lasts(TimePoint now) const { return since_ && now - *since_ >= kLong; }

  /// True the first time in this outage: the log is to say so. Begins one if none has begun.
  [[nodiscard]] bool tell(TimePoint now) {
    if (!since_) on_wait(now);
    return !std::exchange(told_, true);
  }

  /// An upstream is usable. The length of the outage, if it was told.
  std::optional<Duration> end(TimePoint now) {
    const std::optional<TimePoint> since = std::exchange(since_, std::nullopt);
    return std::exchange(told_, false) && since ? std::optional(now - *since) : std::nullopt;
  }

  /// The network is another one, or has slept: what was found out about the old one says nothing.
  void restart(TimePoint now) {
    if (since_) since_ = latest_ = now;
  }

 private:
  std::optional<TimePoint> since_;
  TimePoint latest_{};
  bool told_ = false;
};

/// An outage for each set of upstreams that serves some of the queries. The configuration bounds their number.
class Outages {
 public:
  Outage& of(UpstreamMask eligible) {
    for (Entry& entry : entries_) {
      if (entry.upstreams == eligible) return entry.outage;
    }
    return entries_.emplace_back(Entry{eligible, {}}).outage;
  }

  struct Ended {
    UpstreamMask upstreams;
    Duration lasted;
  };
  /// An upstream is usable: the longest outage that this ends and that was told.
  std::optional<Ended> end(std::size_t upstream, TimePoint now) {
    std::optional<Ended> longest;
    for (Entry& entry : entries_) {
      if (!entry.upstreams.contains(upstream)) continue;
      const std::optional<Duration> lasted = entry.outage.end(now);
      if (lasted && (!longest || *lasted > longest->lasted)) longest = Ended{entry.upstreams, *lasted};
    }
    return longest;
  }

  void restart(TimePoint now) {
    for (Entry& entry : entries_) entry.outage.restart(now);
  }

 private:
  struct Entry {
    UpstreamMask upstreams;
    Outage outage;
  };
  std::vector<Entry> entries_;
};

}  // namespace dotrelay
