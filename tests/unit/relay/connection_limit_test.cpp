// What is known of a server that takes no more connections: when one more is tried, and which refusals say so.
#include "relay/connection_limit.hpp"

#include "relay/shared_connections.hpp"

#include <array>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kNow{std::chrono::hours(5)};

TEST_CASE("one worker learns it, all know, and one of them tries again after ten seconds") {
  SharedHealth shared;
  ConnectionLimit one(shared);
  ConnectionLimit two(shared);
  CHECK_FALSE(one.known(kNow));
  CHECK_FALSE(one.claim_trial(kNow));
  CHECK(one.learn(kNow));
  CHECK_FALSE(two.learn(kNow));
  CHECK(two.known(kNow));
  CHECK_FALSE(two.claim_trial(kNow + seconds(9)));
  CHECK(two.claim_trial(kNow + milliseconds(10200)));
  CHECK_FALSE(one.claim_trial(kNow + milliseconds(10200)));
}

TEST_CASE("each trial that fails doubles the pause, up to five minutes; one that succeeds ends that") {
  SharedHealth shared;
  ConnectionLimit limit(shared);
  limit.learn(kNow);
  TimePoint now = kNow + milliseconds(10200);
  for (const int pause : {20, 40, 80, 160, 300, 300}) {
    CAPTURE(pause);
    CHECK(limit.claim_trial(now));
    CHECK_FALSE(limit.claim_trial(now + seconds(pause) - milliseconds(200)));
    now += seconds(pause) + milliseconds(200);
  }
  limit.on_success(now);
  CHECK_FALSE(limit.claim_trial(now + seconds(9)));
  CHECK(limit.claim_trial(now + milliseconds(10200)));
}

TEST_CASE("a limit that nobody has met for long is forgotten, and can be forgotten at once") {
  SharedHealth shared;
  ConnectionLimit limit(shared);
  limit.learn(kNow);
  CHECK(limit.known(kNow + minutes(5)));
  CHECK_FALSE(limit.known(kNow + minutes(5) + seconds(11)));
  CHECK_FALSE(limit.claim_trial(kNow + minutes(6)));
  CHECK(limit.learn(kNow + minutes(6)));
  limit.forget();
  CHECK_FALSE(limit.known(kNow + minutes(6)));
  limit.on_success(kNow + minutes(6));
  CHECK_FALSE(limit.known(kNow + minutes(6)));
}

struct ThreeWorkers {
  std::array<WorkerConnections, 6> words{};
  SharedConnections one{words, 0, 3};
  SharedConnections two{words, 1, 3};
  SharedConnections three{words, 2, 3};
};

TEST_CASE("a refusal is a limit when a sibling has had a connection since before the dial") {
  using Verdict = SharedConnections::Verdict;
  ThreeWorkers workers;
  CHECK(workers.one.judge(1, kNow) == Verdict::down);
  workers.one.publish(1, kNow - seconds(1), kNever);
  CHECK(workers.one.judge(1, kNow) == Verdict::down);  // an own connection is none of a sibling
  CHECK(workers.two.judge(0, kNow) == Verdict::down);  // nor is one to another address
  CHECK(workers.two.judge(1, kNow) == Verdict::limited);
  workers.one.publish(1, kNow + milliseconds(50), kNever);  // made since, as after a restart of the server
  CHECK(workers.two.judge(1, kNow) == Verdict::unknown);
  workers.three.publish(1, kNow - seconds(100), kNever);
  CHECK(workers.two.judge(1, kNow) == Verdict::limited);
}

TEST_CASE("the last dial of several that fails says that the server is down") {
  using Verdict = SharedConnections::Verdict;
  ThreeWorkers workers;
  workers.one.publish(0, kNever, kNow);
  workers.two.publish(0, kNever, kNow + milliseconds(10));
  CHECK(workers.one.judge(0, kNow) == Verdict::unknown);
  workers.one.publish(0, kNever, kNever);
  CHECK(workers.two.judge(0, kNow + milliseconds(10)) == Verdict::down);
  // Where dials take seconds there is always a later one.
  workers.two.publish(0, kNever, kNow + seconds(1));
  CHECK(workers.one.judge(0, kNow) == Verdict::down);
}

TEST_CASE("siblings with a connection are found, each in its turn") {
  ThreeWorkers workers;
  Random random(1);
  const auto any = [](std::size_t) { return true; };
  CHECK_FALSE(workers.one.sibling_ready(0));
  CHECK(workers.one.ready_sibling(0, random, any) == 0);
  workers.one.publish(0, kNow, kNever);
  CHECK(workers.one.ready_sibling(0, random, any) == 0);
  workers.two.publish(0, kNow, kNever);
  workers.three.publish(0, kNow, kNever);
  CHECK(workers.one.sibling_ready(0));
  std::array<int, 3> found{};
  for (int i = 0; i < 300; ++i) ++found[workers.one.ready_sibling(0, random, any)];
  CHECK(found[0] == 0);
  CHECK(found[1] > 50);
  CHECK(found[2] > 50);
  CHECK(workers.one.ready_sibling(0, random, [](std::size_t worker) { return worker == 2; }) == 2);
  CHECK(SharedConnections().alone());
  CHECK_FALSE(SharedConnections().sibling_ready(0));
}

}  // namespace
}  // namespace dotrelay
