// See freshness.hpp.
#include "cache/freshness.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace dotrelay {
namespace {

using dns::ResponseKind;

/// The last tenth of a life, rounded down as in Unbound's `prefetch`. So lives below ten seconds have no such tenth: it
/// would be shorter than the seconds counted here, and a query every few seconds buys too little.
constexpr std::uint32_t kRefreshShare = 10;

/// Seconds from `then` to `now`, which may have wrapped. More than half of the range means that `then` is in the
/// future.
constexpr std::uint32_t kLongestElapsed = 0x7fffffff;
std::uint32_t elapsed_seconds(std::uint32_t then, std::uint32_t now) { return now - then; }

bool is_failure(const KeptLife& life) { return life.kind == ResponseKind::failure; }

std::uint8_t failures_before(const KeptLife* before, std::uint32_t now_seconds) {
  if (before == nullptr || !is_failure(*before)) return 0;
  const std::uint32_t age = elapsed_seconds(before->stored_at_seconds, now_seconds);
  // Of queries that were under way at the same time: one failure, seen twice.
  const std::uint8_t same = std::min(before->failures_before, kMaxFailuresBefore);
  if (age < before->lifetime_seconds) return same;
  if (age - before->lifetime_seconds > kFailureMemorySeconds) return 0;
  return std::min(static_cast<std::uint8_t>(same + 1), kMaxFailuresBefore);
}

}  // namespace

Condition condition_of(const KeptLife& life, std::uint32_t now_seconds, const CacheBounds& bounds) {
  const std::uint32_t age = elapsed_seconds(life.stored_at_seconds, now_seconds);
  if (age > kLongestElapsed) return {};
  if (age < life.lifetime_seconds) {
    const std::uint32_t remaining = life.lifetime_seconds - age;
    const bool due = !is_failure(life) && remaining <= life.lifetime_seconds / kRefreshShare;
    return {due ? Freshness::refresh_due : Freshness::fresh, age, remaining};
  }
  if (is_failure(life) || age - life.lifetime_seconds >= bounds.max_stale_seconds) return {};
  return {Freshness::stale, age, 0};
}

std::uint32_t failure_lifetime_seconds(std::uint8_t failures_before) {
  constexpr std::array<std::uint32_t, kMaxFailuresBefore + 1> kLifetimes = {1, 2, 4, 5};
  return kLifetimes[std::min(failures_before, kMaxFailuresBefore)];
}

KeptLife begin_life(const dns::Lifetime& told, const KeptLife* before, std::uint32_t now_seconds,
                    const CacheBounds& bounds) {
  assert(told.may_be_kept());
  KeptLife life{.kind = told.kind, .stored_at_seconds = now_seconds};
  if (is_failure(life)) {
    life.failures_before = failures_before(before, now_seconds);
    life.lifetime_seconds = failure_lifetime_seconds(life.failures_before);
  } else {
    life.lifetime_seconds = std::min(told.seconds, bounds.max_ttl_seconds);
  }
  return life;
}

bool may_replace(const KeptLife& old, const KeptLife& fresh, std::uint32_t now_seconds, const CacheBounds& bounds) {
  return !is_failure(fresh) || is_failure(old) || condition_of(old, now_seconds, bounds).freshness == Freshness::dead;
}

std::uint32_t ttl_bound_seconds(const KeptLife& life, const CacheBounds& bounds) {
  return life.kind == ResponseKind::positive ? bounds.max_ttl_seconds : life.lifetime_seconds;
}

Duration stale_delay(Duration deadline) {
  constexpr Duration kClientResponseTimer = std::chrono::milliseconds(1800);
  return std::min(kClientResponseTimer, deadline / 2);
}

}  // namespace dotrelay
