// How a worker shows that its loop turns, and when the supervisor stops believing it.
#pragma once

#include "base/clock.hpp"

namespace dotrelay {

inline constexpr Duration kHeartbeatInterval = std::chrono::milliseconds(250);

/// Checks of the supervisor, one each interval, without a new heartbeat before the worker is killed. Two seconds: the
/// longest a loop is busy without turning is a handful of handshakes, 0.1 s on slow hardware.
inline constexpr int kMaxMissedHeartbeats = 8;

/// Checks without a heartbeat until a worker that leaves no longer decides when new clients stop coming to it: half a
/// second.
inline constexpr int kHeartbeatsToLeavePort = 2;

/// Checks until a worker must have said that it is ready: ten seconds to parse its configuration and the CA bundle.
inline constexpr int kMaxStartHeartbeats = 40;

}  // namespace dotrelay
