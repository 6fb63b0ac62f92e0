// When an upstream address in trouble is tried again, and how it is trusted again.
#include "relay/health.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart{std::chrono::hours(1)};

/// One address as one worker sees it.
struct Watched {
  SharedHealth shared{};
  Health health{shared};
  Random random{1};
};

/// The pauses between trials that fail as soon as they are allowed.
std::vector<Duration> pauses(Trouble trouble, int count, std::uint32_t seed = 1) {
  Watched address;
  address.random = Random(seed);
  TimePoint now = kStart;
  std::vector<Duration> result;
  for (int i = 0; i < count; ++i) {
    address.health.on_trouble(trouble, "cause", address.health.epoch(), now, address.random);
    const TimePoint next = address.health.next_trial(now);
    CHECK_FALSE(address.health.trial_due(next - milliseconds(1)));
    CHECK(address.health.trial_due(next));
    result.push_back(next - now);
    now = next;
  }
  return result;
}

TEST_CASE("zeroed memory: nothing is wrong, and the address is trusted") {
  const Watched address;
  CHECK_FALSE(address.health.in_trouble());
  CHECK(address.health.settled(kStart));
  CHECK(address.health.next_trial(kStart) == kNever);
  CHECK(address.health.cause().empty());
}

TEST_CASE("back-off doubles from 200 ms to 5 s, a quarter either way") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    Duration nominal = milliseconds(200);
    for (const Duration pause : pauses(Trouble::unreachable, 12, seed)) {
      CHECK(pause >= nominal * 3 / 4);
      CHECK(pause <= std::min<Duration>(nominal * 5 / 4, seconds(5)) + milliseconds(1));
      nominal = std::min<Duration>(nominal * 2, seconds(5));
    }
  }
}

TEST_CASE("jitter parts two relays") { CHECK(pauses(Trouble::tls, 8, 1) != pauses(Trouble::tls, 8, 2)); }

TEST_CASE("a wrong certificate is tried after a second or more, no route each 200 ms") {
  CHECK(pauses(Trouble::authentication, 1)[0] >= milliseconds(750));
  for (const Duration pause : pauses(Trouble::no_route, 10)) CHECK(pause <= milliseconds(251));
}

TEST_CASE("sessions that went silent: a fresh connection is tried at once, and only then it is the address") {
  Watched address;
  address.health.on_trouble(Trouble::silent_path, "connection timed out", address.health.epoch(), kStart,
                            address.random);
  CHECK(address.health.trouble() == Trouble::silent_path);
  CHECK(address.health.trial_due(kStart));
  CHECK(address.health.on_trouble(Trouble::silent_path, "connection timed out", address.health.epoch(), kStart,
                                  address.random));
  CHECK(address.health.trouble() == Trouble::timed_out);
  CHECK_FALSE(address.health.trial_due(kStart));
}

TEST_CASE("what one worker learns, all know") {
  Watched address;
  Health other(address.shared);
  address.health.on_trouble(Trouble::unreachable, "connection refused", address.health.epoch(), kStart, address.random);
  CHECK(other.trouble() == Trouble::unreachable);
  CHECK(other.cause() == "connection refused");
  const TimePoint next = other.next_trial(kStart);
  CHECK(other.trial_due(next));
  address.health.claim_trial(next);
  CHECK_FALSE(other.trial_due(next));
  CHECK(other.on_proof(other.epoch(), next));
  CHECK_FALSE(address.health.in_trouble());
}

TEST_CASE("one event that many connections report is one trouble") {
  Watched address;
  Health& health = address.health;
  const Health::Epoch before = health.epoch();
  CHECK(health.on_trouble(Trouble::silent_path, "connection timed out", before, kStart, address.random));
  for (int i = 0; i < 8; ++i) {
    CHECK_FALSE(health.on_trouble(Trouble::silent_path, "connection timed out", before, kStart, address.random));
  }
  CHECK(health.trouble() == Trouble::silent_path);
  CHECK(health.trial_due(kStart));
}

TEST_CASE("an old connection that still answers proves nothing about new ones, except that answers are good again") {
  for (const Trouble trouble : {Trouble::unreachable, Trouble::slow}) {
    Watched address;
    const Health::Epoch old = address.health.epoch();
    address.health.on_trouble(trouble, "cause", old, kStart, address.random);
    CHECK(address.health.on_proof(old, kStart) == (trouble == Trouble::slow));
    CHECK(address.health.in_trouble() == (trouble == Trouble::unreachable));
    CHECK(address.health.on_proof(address.health.epoch(), kStart) == (trouble == Trouble::unreachable));
    CHECK_FALSE(address.health.in_trouble());
  }
}

TEST_CASE("times that nobody can have stored are past") {
  Watched address;
  address.health.on_trouble(Trouble::tls, "cause", address.health.epoch(), kStart, address.random);
  for (const std::uint32_t wild : {0U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    address.shared.until_ms = wild;
    CHECK(address.health.next_trial(kStart) <= kStart + Health::kMaxBackOff + milliseconds(1));
  }
}

TEST_CASE("the same trouble is news once, another cause is news again, an answer ends it") {
  Watched address;
  Health& health = address.health;
  CHECK(health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), kStart, address.random));
  CHECK_FALSE(health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), kStart, address.random));
  CHECK(health.on_trouble(Trouble::timed_out, "connection timed out", health.epoch(), kStart, address.random));
  CHECK(health.on_proof(health.epoch(), kStart));
  CHECK_FALSE(health.on_proof(health.epoch(), kStart));
  CHECK(health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), kStart + seconds(10),
                          address.random));
}

TEST_CASE("an address is trusted again five seconds after its proof; trouble before that goes on where it was") {
  Watched address;
  Health& health = address.health;
  for (int i = 0; i < 4; ++i)
    health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), kStart, address.random);
  health.on_proof(health.epoch(), kStart);
  CHECK_FALSE(health.settled(kStart + milliseconds(4999)));
  CHECK(health.settled(kStart + seconds(5)));
  TimePoint now = kStart + seconds(1);
  SUBCASE("too early") {
    health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), now, address.random);
    CHECK(health.next_trial(now) - now >= milliseconds(2400));
  }
  SUBCASE("settled") {
    now = kStart + seconds(6);
    health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), now, address.random);
    CHECK(health.next_trial(now) - now <= milliseconds(251));
  }
}

TEST_CASE("a change of the network makes the next trial due") {
  Watched address;
  for (int i = 0; i < 6; ++i)
    address.health.on_trouble(Trouble::timed_out, "connection timed out", address.health.epoch(), kStart,
                              address.random);
  CHECK_FALSE(address.health.trial_due(kStart));
  address.health.retry_now(kStart);
  CHECK(address.health.trial_due(kStart));
}

TEST_CASE("a suspicion that is withdrawn: back to what was before, unless something else was learned") {
  Watched address;
  Health& health = address.health;
  const auto suspect = [&](TimePoint now) {
    health.on_trouble(Trouble::silent_path, "connection timed out", health.epoch(), now, address.random);
    return health.epoch();
  };
  SUBCASE("it had settled") {
    const Health::Epoch epoch = suspect(kStart);
    CHECK_FALSE(health.withdraw(epoch - 1, kStart));
    CHECK(health.withdraw(epoch, kStart + milliseconds(100)));
    CHECK(health.settled(kStart + milliseconds(100)));
    CHECK_FALSE(health.withdraw(epoch, kStart + milliseconds(100)));
  }
  SUBCASE("it had not: neither is it trusted sooner, nor is the next back-off longer") {
    health.on_trouble(Trouble::unreachable, "connection refused", health.epoch(), kStart, address.random);
    health.on_proof(health.epoch(), kStart);
    CHECK(health.withdraw(suspect(kStart + seconds(1)), kStart + seconds(2)));
    CHECK_FALSE(health.settled(kStart + seconds(2)));
    CHECK(health.settled(kStart + seconds(7)));
  }
  SUBCASE("the fresh connection was refused meanwhile") {
    const Health::Epoch epoch = suspect(kStart);
    health.on_trouble(Trouble::unreachable, "connection refused", epoch, kStart, address.random);
    CHECK_FALSE(health.withdraw(epoch, kStart));
    CHECK(health.in_trouble());
  }
}

TEST_CASE("a cause longer than its place is cut, and still the same cause") {
  Watched address;
  const std::string cause(300, 'x');
  CHECK(address.health.on_trouble(Trouble::tls, cause, address.health.epoch(), kStart, address.random));
  CHECK(address.health.cause() == std::string(128, 'x'));
  CHECK_FALSE(address.health.on_trouble(Trouble::tls, cause, address.health.epoch(), kStart, address.random));
}

TEST_CASE("a copy for another configuration: all but a refused certificate") {
  for (const auto& [trouble, expected] :
       {std::pair{Trouble::timed_out, Trouble::timed_out}, {Trouble::authentication, Trouble::none}}) {
    Watched address;
    address.health.on_trouble(trouble, "cause", address.health.epoch(), kStart, address.random);
    address.shared.idle_close_ms = 9000;
    Watched copy;
    copy_health(address.shared, copy.shared);
    CHECK(copy.health.trouble() == expected);
    CHECK(copy.health.cause() == (expected == Trouble::none ? "" : "cause"));
    CHECK(copy.shared.idle_close_ms == 9000);
  }
}

TEST_CASE("hopeless: what waiting a few seconds does not mend; degraded: connections work, answers do not") {
  for (const Trouble trouble :
       {Trouble::silent_path, Trouble::unreachable, Trouble::no_route, Trouble::timed_out, Trouble::authentication,
        Trouble::tls, Trouble::garbage, Trouble::slow, Trouble::errors}) {
    Watched address;
    address.health.on_trouble(trouble, "cause", address.health.epoch(), kStart, address.random);
    CHECK(address.health.trouble() == trouble);
    CHECK(address.health.hopeless() == (trouble == Trouble::authentication || trouble == Trouble::no_route));
    CHECK(address.health.degraded() == (trouble == Trouble::slow || trouble == Trouble::errors));
  }
}

}  // namespace
}  // namespace dotrelay
