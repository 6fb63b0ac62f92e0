// How often all workers together dial an address while nothing is usable.
#include "relay/urgent_dials.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr TimePoint kNeverDialled = TimePoint::min();

TEST_CASE("one worker takes the dial that is due, the next one is due 200 ms later") {
  SharedHealth shared{};
  UrgentDials one(shared);
  UrgentDials two(shared);
  CHECK(one.next(kNeverDialled, kStart) == kStart);
  CHECK(one.claim(kNeverDialled, kStart));
  CHECK_FALSE(two.claim(kNeverDialled, kStart));
  CHECK(two.next(kNeverDialled, kStart + milliseconds(50)) == kStart + milliseconds(200));
  CHECK_FALSE(two.claim(kNeverDialled, kStart + milliseconds(199)));
  CHECK(two.claim(kNeverDialled, kStart + milliseconds(200)));
}

TEST_CASE("while a handshake is under way the next dial is due after a second; when its worker is gone, as before") {
  SharedHealth shared{};
  UrgentDials one(shared);
  UrgentDials two(shared);
  one.on_dial(kStart);
  TimePoint now = kStart;
  for (; now < kStart + milliseconds(500); now += UrgentDials::kLook) {
    one.on_handshake(now);
    CHECK(two.next(kNeverDialled, now) == kStart + seconds(1));
  }
  CHECK_FALSE(two.claim(kNeverDialled, now));
  CHECK(two.claim(kNeverDialled, now + milliseconds(150)));
}

TEST_CASE("when a dial has succeeded, each worker may make one connection at once") {
  SharedHealth shared{};
  UrgentDials one(shared);
  UrgentDials two(shared);
  one.on_dial(kStart);
  one.on_ready(kStart + milliseconds(30));
  const TimePoint now = kStart + milliseconds(40);
  CHECK(two.claim(kStart - milliseconds(300), now));
  two.on_dial(now);
  CHECK_FALSE(two.claim(now, now + milliseconds(10)));  // it has had its chance
}

TEST_CASE("words that nobody can have stored are long ago") {
  for (const std::uint32_t wild : {1U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    SharedHealth shared{};
    shared.dialled_ms = shared.handshake_ms = wild;
    CHECK(UrgentDials(shared).next(kNeverDialled, kStart) == kStart);
  }
}

}  // namespace
}  // namespace dotrelay
