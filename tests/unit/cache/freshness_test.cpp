// The lives of kept responses second by second, and what takes whose place.
#include "cache/freshness.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace dotrelay {
namespace {

using dns::ResponseKind;
using namespace std::chrono_literals;

constexpr CacheBounds kBounds{};
constexpr CacheBounds kNoStale{.max_ttl_seconds = 86400, .max_stale_seconds = 0};
constexpr std::uint32_t kNow = 1'000'000;

/// As if stored at kNow.
KeptLife good(std::uint32_t lifetime, ResponseKind kind = ResponseKind::positive) {
  return {.kind = kind, .stored_at_seconds = kNow, .lifetime_seconds = lifetime};
}

KeptLife failure(std::uint8_t before = 0, std::uint32_t at = kNow) {
  return {ResponseKind::failure, before, at, failure_lifetime_seconds(before)};
}

std::string text_of(const Condition& condition) {
  switch (condition.freshness) {
    case Freshness::fresh:
      return "fresh " + std::to_string(condition.age_seconds) + "+" + std::to_string(condition.remaining_seconds);
    case Freshness::refresh_due:
      return "due " + std::to_string(condition.age_seconds) + "+" + std::to_string(condition.remaining_seconds);
    case Freshness::stale:
      return "stale " + std::to_string(condition.age_seconds);
    case Freshness::dead:
      return "dead";
  }
  return "?";
}

/// The condition of what was stored at kNow, `age` seconds later.
std::string at_age(const KeptLife& life, std::uint32_t age, const CacheBounds& bounds = kBounds) {
  return text_of(condition_of(life, kNow + age, bounds));
}

TEST_CASE("a life of 300 seconds: fresh, due in its last tenth, stale for an hour, dead") {
  for (const ResponseKind kind : {ResponseKind::positive, ResponseKind::nodata, ResponseKind::nxdomain}) {
    CHECK(at_age(good(300, kind), 0) == "fresh 0+300");
    CHECK(at_age(good(300, kind), 269) == "fresh 269+31");
    CHECK(at_age(good(300, kind), 270) == "due 270+30");
    CHECK(at_age(good(300, kind), 299) == "due 299+1");
    CHECK(at_age(good(300, kind), 300) == "stale 300");
    CHECK(at_age(good(300, kind), 3899) == "stale 3899");
    CHECK(at_age(good(300, kind), 3900) == "dead");
  }
}

TEST_CASE("without stale answers what is over is dead") {
  CHECK(at_age(good(300), 299, kNoStale) == "due 299+1");
  CHECK(at_age(good(300), 300, kNoStale) == "dead");
}

TEST_CASE("a life below ten seconds is never refreshed early") {
  for (std::uint32_t lifetime = 1; lifetime < 10; ++lifetime) {
    CHECK(condition_of(good(lifetime), kNow + lifetime - 1, kBounds).freshness == Freshness::fresh);
  }
  CHECK(at_age(good(10), 8) == "fresh 8+2");
  CHECK(at_age(good(10), 9) == "due 9+1");
  CHECK(at_age(good(19), 17) == "fresh 17+2");
  CHECK(at_age(good(19), 18) == "due 18+1");
}

TEST_CASE("a failure is fresh or dead") {
  CHECK(at_age(failure(), 0) == "fresh 0+1");
  CHECK(at_age(failure(), 1) == "dead");
  CHECK(at_age(failure(3), 4) == "fresh 4+1");
  CHECK(at_age(failure(3), 5) == "dead");
  KeptLife long_one = failure();
  long_one.lifetime_seconds = 100;  // of spoilt memory
  CHECK(at_age(long_one, 99) == "fresh 99+1");
}

TEST_CASE("what was stored in the future is dead") {
  CHECK(text_of(condition_of(good(300), kNow - 1, kBounds)) == "dead");
  CHECK(text_of(condition_of(good(300), kNow - 0x7fffffff, kBounds)) == "dead");
  CHECK(at_age(good(0xffffffff), 0x7fffffff) == "fresh 2147483647+2147483648");
  CHECK(at_age(good(0xffffffff), 0x80000000) == "dead");
}

TEST_CASE("seconds wrap") {
  KeptLife life = good(300);
  life.stored_at_seconds = 0xffffff00;
  CHECK(text_of(condition_of(life, 0xffffff00, kBounds)) == "fresh 0+300");
  CHECK(text_of(condition_of(life, 0, kBounds)) == "fresh 256+44");
  CHECK(text_of(condition_of(life, 44, kBounds)) == "stale 300");
  CHECK(text_of(condition_of(life, 3643, kBounds)) == "stale 3899");
  CHECK(text_of(condition_of(life, 3644, kBounds)) == "dead");
}

TEST_CASE("a life without length, and one as long as can be written") {
  CHECK(at_age(good(0), 0) == "stale 0");
  CHECK(at_age(good(0), 0, kNoStale) == "dead");
  CHECK(at_age(good(0xffffffff), 0) == "fresh 0+4294967295");
  CHECK(at_age(good(1), 0x7fffffff, {.max_ttl_seconds = 1, .max_stale_seconds = 0xffffffff}) == "stale 2147483647");
}

// ---- storing ----

TEST_CASE("a life begins with what the response says, at most max_ttl") {
  const dns::Lifetime told{.kind = ResponseKind::nxdomain, .seconds = 300};
  CHECK(begin_life(told, nullptr, kNow, kBounds) == good(300, ResponseKind::nxdomain));
  CHECK(begin_life({.kind = ResponseKind::positive, .seconds = 86400}, nullptr, kNow, kBounds) == good(86400));
  CHECK(begin_life({.kind = ResponseKind::positive, .seconds = 86401}, nullptr, kNow, kBounds) == good(86400));
  CHECK(begin_life({.kind = ResponseKind::positive, .seconds = 300}, nullptr, kNow, {.max_ttl_seconds = 60}) ==
        good(60));
  const KeptLife failed = failure(2);
  CHECK(begin_life(told, &failed, kNow, kBounds) == good(300, ResponseKind::nxdomain));
}

TEST_CASE("failures in a row live 1, 2, 4, 5, 5 seconds") {
  constexpr dns::Lifetime kFailed{.kind = ResponseKind::failure};
  KeptLife life = begin_life(kFailed, nullptr, kNow, kBounds);
  std::vector<std::uint32_t> lifetimes = {life.lifetime_seconds};
  std::uint32_t now = kNow;
  for (int i = 0; i < 4; ++i) {
    now += life.lifetime_seconds;
    life = begin_life(kFailed, &std::as_const(life), now, kBounds);
    CHECK(life.stored_at_seconds == now);
    lifetimes.push_back(life.lifetime_seconds);
  }
  CHECK(lifetimes == std::vector<std::uint32_t>{1, 2, 4, 5, 5});
}

TEST_CASE("a row of failures ends with a good response or a minute without any") {
  constexpr dns::Lifetime kFailed{.kind = ResponseKind::failure};
  const auto next = [&](const KeptLife& before, std::uint32_t age) {
    return begin_life(kFailed, &before, kNow + age, kBounds).lifetime_seconds;
  };
  CHECK(next(failure(1), 1) == 2);  // while the one before is fresh: two queries saw the same failure
  CHECK(next(failure(1), 2) == 4);
  CHECK(next(failure(1), 62) == 4);
  CHECK(next(failure(1), 63) == 1);
  CHECK(next(good(1), 5000) == 1);
  CHECK(next(failure(1, kNow + 10), 0) == 1);  // stored in the future
  KeptLife spoilt = failure(3);
  spoilt.failures_before = 255;
  CHECK(next(spoilt, 5) == 5);
  CHECK(failure_lifetime_seconds(255) == 5);
}

TEST_CASE("a failure takes the place of no response that can still be told") {
  const auto failure_at = [](std::uint32_t age) { return failure(0, kNow + age); };
  for (const ResponseKind kind : {ResponseKind::positive, ResponseKind::nodata, ResponseKind::nxdomain}) {
    CHECK_FALSE(may_replace(good(300, kind), failure_at(0), kNow, kBounds));
    CHECK_FALSE(may_replace(good(300, kind), failure_at(299), kNow + 299, kBounds));
    CHECK_FALSE(may_replace(good(300, kind), failure_at(300), kNow + 300, kBounds));
    CHECK_FALSE(may_replace(good(300, kind), failure_at(3899), kNow + 3899, kBounds));
    CHECK(may_replace(good(300, kind), failure_at(3900), kNow + 3900, kBounds));
    CHECK(may_replace(good(300, kind), failure_at(300), kNow + 300, kNoStale));
    CHECK(may_replace(good(300, kind), failure_at(0), kNow - 1, kBounds));
  }
  CHECK(may_replace(failure(), failure_at(0), kNow, kBounds));
  CHECK(may_replace(failure(), failure_at(9), kNow + 9, kBounds));
}

TEST_CASE("a good response takes any place") {
  for (const std::uint32_t age : {0U, 300U, 9999U}) {
    CHECK(may_replace(good(300), good(10, ResponseKind::nxdomain), kNow + age, kBounds));
    CHECK(may_replace(good(10, ResponseKind::nodata), good(300), kNow + age, kBounds));
    CHECK(may_replace(failure(), good(1), kNow + age, kBounds));
  }
}

TEST_CASE("what TTLs are bounded by") {
  CHECK(ttl_bound_seconds(good(300), kBounds) == 86400);
  CHECK(ttl_bound_seconds(good(300, ResponseKind::nodata), kBounds) == 300);
  CHECK(ttl_bound_seconds(good(300, ResponseKind::nxdomain), kBounds) == 300);
  CHECK(ttl_bound_seconds(failure(), kBounds) == 1);
}

// ---- stale answers ----

TEST_CASE("a stale answer waits 1.8 s, or half the deadline") {
  CHECK(stale_delay(5s) == 1800ms);
  CHECK(stale_delay(3600ms) == 1800ms);
  CHECK(stale_delay(2500ms) == 1250ms);
  CHECK(stale_delay(0s) == 0s);
}

}  // namespace
}  // namespace dotrelay
