// What a worker gives its forwarder, and the forwarder its parts.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "cache/answer_cache.hpp"
#include "config/config.hpp"
#include "metrics/counters.hpp"
#include "relay/connection.hpp"
#include "relay/memory_budget.hpp"
#include "relay/siblings.hpp"

#include <algorithm>

namespace dotrelay {

/// All of it outlives the forwarder.
struct Environment {
  /// After this time, or a quarter of the deadline when that is shorter, the next upstream is asked as well, whatever
  /// the budget for hedging: with three upstreams and the default deadline each has been asked before the last quarter
  /// of the client's time begins.
  static constexpr Duration kMaxPatience = std::chrono::seconds(1);

  [[nodiscard]] Duration patience() const { return std::min(config.relay.deadline / 4, kMaxPatience); }

  const Config& config;
  Dialer& dialer;
  Counters& counters;
  MemoryBudget& memory;
  Log& log;
  Random& random;
  Siblings* siblings = nullptr;  ///< none for a worker that is alone
  AnswerCache* cache = nullptr;  ///< none where answers are not kept
  /// How long the machine has been suspended since it started.
  Duration (*asleep)() = time_asleep;
};

}  // namespace dotrelay
