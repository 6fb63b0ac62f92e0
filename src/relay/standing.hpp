// What may be done with a connection to an upstream: one standing at a time, and one table of what each standing
// allows. PooledConnection::standing() computes it, everything that counts, chooses or closes connections asks the
// table.
#pragma once

#include <array>
#include <cstdint>

namespace dotrelay {

enum class Standing : std::uint8_t {
  connecting,  ///< its handshake is not done
  good,        ///< works and has room
  borrowed,    ///< good, but a sibling's: an own connection is preferred (see siblings.hpp)
  busy,        ///< works, and PendingQueries::kMaxLive queries wait for its answers
  worn,        ///< works, and has given up PendingQueries::kMaxAbandoned IDs: it ends as soon as it owes nothing
  mute,        ///< owes answers and has brought none for the relay's patience
  suspect,     ///< its path may be dead: see suspicion.hpp
  ended,       ///< closed; what it brought before is still being read
};

struct StandingRules {
  bool takes_queries;
  bool usable;       ///< its upstream answers: "no upstream is usable" would be wrong
  bool holds_place;  ///< is one of UpstreamSet::kMaxConnections
  bool is_paced;     ///< what is made in its place is made once each patience
  bool is_doubtful;  ///< brings no answers: the upstream's next address is tried first
};

// clang-format off
inline constexpr std::array<StandingRules, 8> kStandingRules = {{
    //               takes_queries  usable  holds_place  is_paced  is_doubtful
    /* connecting */ {false,        false,  false,       false,    false},
    /* good */       {true,         true,   true,        false,    false},
    /* borrowed */   {true,         true,   false,       false,    false},
    /* busy */       {false,        true,   true,        false,    false},
    /* worn */       {false,        true,   false,       true,     false},
    /* mute */       {false,        false,  false,       true,     true},
    /* suspect */    {false,        false,  false,       false,    true},
    /* ended */      {false,        false,  false,       false,    false},
}};
// clang-format on

[[nodiscard]] constexpr const StandingRules& rules_of(Standing standing) {
  return kStandingRules[static_cast<std::size_t>(standing)];
}

}  // namespace dotrelay
