// The small estimates that decisions rest on: usual answer times, the hedging budget, recent outcomes, idle times,
// delays of acknowledgements.
#include "relay/acknowledgement_delay.hpp"
#include "relay/hedge_budget.hpp"
#include "relay/idle_close.hpp"
#include "relay/recent_outcomes.hpp"
#include "relay/usual_time.hpp"

#include <doctest/doctest.h>
#include <random>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("the usual time settles where about one answer in twenty is later") {
  for (const unsigned seed : {1U, 2U, 3U}) {
    std::mt19937 chance(seed);
    std::exponential_distribution<double> tail(1.0 / 40.0);  // mean 40 ms: the 95th percentile is 120 ms
    UsualTime usual;
    int later = 0;
    for (int i = 0; i < 20'000; ++i) {
      const Duration took = std::chrono::microseconds(static_cast<int>(tail(chance) * 1000));
      if (i >= 1000 && took > usual.get()) ++later;
      usual.on_answer(took);
    }
    CHECK(later / 19'000.0 > 0.035);
    CHECK(later / 19'000.0 < 0.065);
  }
}

TEST_CASE("the usual time follows a slower upstream within some ten answers, and stays in its bounds") {
  UsualTime usual;
  for (int i = 0; i < 1000; ++i) usual.on_answer(milliseconds(1));
  CHECK(usual.get() == UsualTime::kLeast);
  for (int i = 0; i < 15; ++i) usual.on_answer(milliseconds(200));
  CHECK(usual.get() > milliseconds(180));
  for (int i = 0; i < 100; ++i) usual.on_late();
  CHECK(usual.get() == UsualTime::kMost);
}

TEST_CASE("the budget: what was not spent is given back, never more than a burst") {
  HedgeBudget budget(0.1);
  for (int i = 0; i < 16; ++i) CHECK(budget.take());
  CHECK_FALSE(budget.take());
  budget.give_back();
  CHECK(budget.take());
  for (int i = 0; i < 50; ++i) budget.give_back();
  for (int i = 0; i < 16; ++i) CHECK(budget.take());
  CHECK_FALSE(budget.take());
}

TEST_CASE("the budget: a burst first, then the share") {
  HedgeBudget budget(0.1);
  int spent = 0;
  while (budget.take()) ++spent;
  CHECK(spent == 16);
  for (int i = 0; i < 1000; ++i) {
    budget.on_query();
    if (budget.take()) ++spent;
  }
  CHECK(spent >= 16 + 99);
  CHECK(spent <= 16 + 100);
  HedgeBudget off(0);
  off.on_query();
  CHECK_FALSE(off.enabled());
  CHECK_FALSE(off.take());
}

TEST_CASE("mostly bad: five of the latest eight") {
  RecentOutcomes outcomes;
  for (std::uint32_t i = 0; i < 4; ++i) outcomes.add_bad(i);
  CHECK_FALSE(outcomes.mostly_bad());
  outcomes.add_good();
  outcomes.add_bad(4);
  CHECK(outcomes.mostly_bad());
  for (int i = 0; i < 4; ++i) outcomes.add_good();
  CHECK_FALSE(outcomes.mostly_bad());
  for (std::uint32_t i = 10; i < 18; ++i) outcomes.add_bad(i);
  CHECK(outcomes.mostly_bad());
  outcomes.clear();
  CHECK_FALSE(outcomes.mostly_bad());
}

TEST_CASE("a domain has one vote among those that are remembered, and another when that is forgotten") {
  RecentOutcomes outcomes;
  for (int i = 0; i < 100; ++i) outcomes.add_bad(7);
  for (std::uint32_t i = 0; i < 3; ++i) outcomes.add_bad(i);
  outcomes.add_bad(7);
  CHECK_FALSE(outcomes.mostly_bad());  // four domains
  for (int i = 0; i < 8; ++i) outcomes.add_good();
  for (const std::uint32_t domain : {7U, 1U, 2U, 3U, 4U}) outcomes.add_bad(domain);
  CHECK(outcomes.mostly_bad());
}

TEST_CASE("an idle time counts when it was seen twice in a row, and the relay closes before it") {
  SharedHealth shared{};
  IdleClose idle(shared);
  CHECK(idle.limit() == IdleClose::kMost);
  idle.on_server_closed(seconds(10));
  CHECK_FALSE(idle.known());
  idle.on_server_closed(milliseconds(10'100));
  CHECK(idle.known());
  CHECK(idle.limit() == milliseconds(9375));
  CHECK(IdleClose(shared).limit() == idle.limit());  // for all workers
  // A restart of the server is another reason to close.
  idle.on_server_closed(seconds(2));
  CHECK(idle.limit() == milliseconds(9375));
  idle.on_server_closed(milliseconds(10));
  idle.on_server_closed(milliseconds(11));
  CHECK(idle.limit() == milliseconds(9375));
}

TEST_CASE("closing before the server again and again tries a little longer each time, within bounds") {
  SharedHealth shared{};
  IdleClose idle(shared);
  idle.on_server_closed(seconds(1));
  idle.on_server_closed(seconds(1));
  const Duration before = idle.limit();
  idle.on_own_close();
  CHECK(idle.limit() > before);
  for (int i = 0; i < 1000; ++i) idle.on_own_close();
  CHECK(idle.limit() <= IdleClose::kMost);
}

TEST_CASE("a delay of acknowledgements: the longest that was seen, for all workers, forgotten after ten minutes") {
  SharedHealth shared{};
  AcknowledgementDelay delay(shared);
  // Also where the clock's seconds wrap in the word, and where it begins.
  for (const std::int64_t begin : {std::int64_t{0}, std::int64_t{100'000}, (std::int64_t{1} << 22) - 5}) {
    const TimePoint now{seconds(begin)};
    CHECK(delay.get(now) == Duration{});
    CHECK(delay.learn(milliseconds(200), now));
    CHECK_FALSE(delay.learn(milliseconds(90), now + seconds(300)));
    CHECK(AcknowledgementDelay(shared).get(now + seconds(899)) == milliseconds(200));
    CHECK(delay.get(now + seconds(900)) == Duration{});
    CHECK(delay.learn(seconds(3), now + seconds(901)));
    CHECK(delay.get(now + seconds(901)) == AcknowledgementDelay::kMost);
    shared.acknowledgement_delay = 0;
  }
}

}  // namespace
}  // namespace dotrelay
