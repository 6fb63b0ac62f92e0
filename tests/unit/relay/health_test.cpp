// When a failing upstream address is tried again.
#include "relay/health.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart{std::chrono::hours(1)};
const CloseReason kRefused{CloseKind::unreachable, "connection refused"};

/// The pauses between trials that fail as soon as they are allowed.
std::vector<Duration> pauses(CloseKind kind, bool urgent, int count, std::uint32_t seed = 1) {
  Random random(seed);
  Health health;
  TimePoint now = kStart;
  std::vector<Duration> result;
  for (int i = 0; i < count; ++i) {
    health.on_dial(now);
    health.on_failure({kind, "cause"}, now, random);
    const TimePoint next = health.next_trial(urgent);
    result.push_back(next - now);
    now = next;
  }
  return result;
}

TEST_CASE("an address that was never dialled may be dialled at once") {
  CHECK(Health().next_trial(false) == TimePoint::min());
  CHECK_FALSE(Health().failing());
}

TEST_CASE("back-off doubles from 200 ms to 5 s, a quarter either way") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const std::vector<Duration> all = pauses(CloseKind::unreachable, false, 12, seed);
    Duration nominal = milliseconds(200);
    for (const Duration pause : all) {
      CHECK(pause >= std::max<Duration>(nominal * 3 / 4, milliseconds(200)));
      CHECK(pause <= nominal * 5 / 4);
      nominal = std::min<Duration>(nominal * 2, seconds(5));
    }
  }
}

TEST_CASE("jitter parts two relays") {
  CHECK(pauses(CloseKind::tls, false, 8, 1) != pauses(CloseKind::tls, false, 8, 2));
}

TEST_CASE("while queries wait and nothing is usable: each 200 ms") {
  for (const Duration pause : pauses(CloseKind::unreachable, true, 10)) CHECK(pause == milliseconds(200));
}

TEST_CASE("a wrong certificate is tried after a second or more, urgent or not") {
  CHECK(pauses(CloseKind::authentication, true, 1)[0] >= milliseconds(750));
  CHECK(pauses(CloseKind::authentication, true, 8) == pauses(CloseKind::authentication, false, 8));
}

TEST_CASE("no route is cheap to try: each 200 ms") {
  for (const Duration pause : pauses(CloseKind::no_route, false, 10)) CHECK(pause == milliseconds(200));
}

TEST_CASE("the same failure is news once, another cause is news again, success ends it") {
  Random random(1);
  Health health;
  CHECK(health.on_failure(kRefused, kStart, random));
  CHECK_FALSE(health.on_failure(kRefused, kStart, random));
  CHECK(health.on_failure({CloseKind::timed_out, "connection timed out"}, kStart, random));
  CHECK(health.failure().text == "connection timed out");
  CHECK(health.on_answer());
  CHECK_FALSE(health.on_answer());
  CHECK_FALSE(health.failing());
  CHECK(health.on_failure(kRefused, kStart, random));
  CHECK(health.next_trial(false) <= kStart + milliseconds(250));  // the back-off began anew
}

TEST_CASE("hopeless: what waiting a few seconds does not mend") {
  Random random(1);
  for (const auto& [kind, hopeless] : {std::pair{CloseKind::authentication, true},
                                       {CloseKind::no_route, true},
                                       {CloseKind::unreachable, false},
                                       {CloseKind::timed_out, false},
                                       {CloseKind::tls, false}}) {
    Health health;
    health.on_failure({kind, "cause"}, kStart, random);
    CHECK(health.hopeless() == hopeless);
  }
}

}  // namespace
}  // namespace dotrelay
