// The life of a kept response: when it is fresh, when a new one is fetched early, how long it may be told although it
// is over (RFC 8767), how long an upstream's failure counts (RFC 9520), and which response gives way to which. Values
// only: no clock and no memory.
//
// Times are whole seconds of one clock that all processes share. It must count the time that the machine sleeps, as
// TTLs do. What is read may come from memory that another process has spoilt: every value has a meaning.
#pragma once

#include "base/clock.hpp"
#include "dns/lifetime.hpp"

#include <cstdint>

namespace dotrelay {

struct CacheBounds {
  std::uint32_t max_ttl_seconds = 24 * 3600;
  std::uint32_t max_stale_seconds = 3600;  ///< 0: nothing is told that is over
};

/// What is kept beside a response.
struct KeptLife {
  dns::ResponseKind kind = dns::ResponseKind::failure;
  std::uint8_t failures_before = 0;  ///< of a failure: those in a row before it, at most kMaxFailuresBefore
  std::uint32_t stored_at_seconds = 0;
  std::uint32_t lifetime_seconds = 0;

  friend bool operator==(const KeptLife&, const KeptLife&) = default;
};

enum class Freshness : std::uint8_t {
  fresh,
  refresh_due,  ///< fresh, and in the last tenth of its life
  stale,        ///< over; may be told when nothing better can be had
  dead,
};

struct Condition {
  Freshness freshness = Freshness::dead;
  std::uint32_t age_seconds = 0;        ///< to take off the TTLs; 0 when dead
  std::uint32_t remaining_seconds = 0;  ///< at least 1 when fresh, else 0
};

/// A response stored in the future is dead: the clock or the memory lies. Seconds may wrap between storing and now.
[[nodiscard]] Condition condition_of(const KeptLife& life, std::uint32_t now_seconds, const CacheBounds& bounds);

// ---- storing ----

/// Failures in a row after which their lifetime grows no more.
inline constexpr std::uint8_t kMaxFailuresBefore = 3;

/// 1, 2, 4, 5 seconds. RFC 9520 3.2 asks for one second at least and five minutes at most; a cache that waits longer
/// than a client's retries hides that the upstream has recovered.
[[nodiscard]] std::uint32_t failure_lifetime_seconds(std::uint8_t failures_before);

/// A failure that comes later than this after the end of the one before it is the first of a new row.
inline constexpr std::uint32_t kFailureMemorySeconds = 60;

/// The life of a response that has just come and says `told` of itself, which must be what may be kept. `before`: what
/// is kept under its key, or null.
[[nodiscard]] KeptLife begin_life(const dns::Lifetime& told, const KeptLife* before, std::uint32_t now_seconds,
                                  const CacheBounds& bounds);

/// Whether `fresh` may take the place of `old`: always, but for a failure, which only follows a failure or what is
/// dead.
[[nodiscard]] bool may_replace(const KeptLife& old, const KeptLife& fresh, std::uint32_t now_seconds,
                               const CacheBounds& bounds);

/// What each TTL of a response must be bounded by (dns::bound_ttls) when it is stored. A client keeps a negative one as
/// long as its SOA's TTL and MINIMUM say (RFC 2308 5): unbounded, a TTL above MINIMUM would hardly age, and the
/// client's life of it would begin anew.
[[nodiscard]] std::uint32_t ttl_bound_seconds(const KeptLife& life, const CacheBounds& bounds);

// ---- stale answers ----

/// The TTL of all records of a stale answer. RFC 8767 4 proposes 30 s; less lets clients see sooner that the upstream
/// is back.
inline constexpr std::uint32_t kStaleTtlSeconds = 5;

/// How long a client waits for a fresh answer before it gets a stale one, where there is one: 1.8 s (the client
/// response timer of RFC 8767 5), but no longer than half its deadline.
[[nodiscard]] Duration stale_delay(Duration deadline);

}  // namespace dotrelay
