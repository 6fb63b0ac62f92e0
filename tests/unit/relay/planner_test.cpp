// The rule by which upstreams are chosen: what is planned, and that nothing outside the eligible ones ever is.
#include "relay/planner.hpp"

#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

struct PlannerFixture : PartsFixture {
  using PartsFixture::PartsFixture;

  Plan plan(const UpstreamOrder& order, bool patient = true) { return planner.plan(Candidates(order), patient, now); }

  Trials& trials = pool.trials();
  Planner planner{set, pool.borrowing(), trials, environment.patience()};
};

using Next = Plan::Next;
using Addresses = std::vector<AddressIndex>;

TEST_CASE("the first upstream is dialled, waited for, and used") {
  PlannerFixture upstreams({1, 1});
  Plan plan = upstreams.plan(UpstreamMask::first(2));
  CHECK(plan.next == Next::dial);
  CHECK(plan.target == AddressIndex{0, 0});
  const ConnectionHandle handle = upstreams.dial({0, 0});
  CHECK(upstreams.plan(UpstreamMask::first(2)).next == Next::wait);
  upstreams.set.mark_ready(handle, upstreams.now);
  plan = upstreams.plan(UpstreamMask::first(2));
  CHECK(plan.next == Next::send);
  CHECK(plan.connection == handle);
}

TEST_CASE("an upstream in trouble is passed over, and used when there is nothing better") {
  PlannerFixture upstreams({1, 1});
  const ConnectionHandle first = upstreams.connect({0, 0});
  upstreams.trouble({0, 0}, Trouble::slow);
  CHECK(upstreams.plan(UpstreamMask::first(2)).target == AddressIndex{1, 0});
  const Plan plan = upstreams.plan(UpstreamMask(0));
  CHECK(plan.next == Next::send);
  CHECK(plan.connection == first);
}

TEST_CASE("nothing outside the eligible upstreams is chosen, tried, hoped for or counted as usable") {
  PlannerFixture upstreams({2, 1});
  const UpstreamMask second(1);
  const AddressIndex last{1, 0};
  upstreams.connect({0, 1});
  upstreams.dial({0, 0});
  CHECK(upstreams.plan(second).target == last);
  CHECK_FALSE(upstreams.set.any_usable(second, upstreams.now));
  CHECK(upstreams.set.any_usable(UpstreamMask::first(2), upstreams.now));
  CHECK(upstreams.planner.prompt_dials_until(second, upstreams.now) == upstreams.now);
  CHECK(upstreams.planner.hope_until(second, upstreams.now) == upstreams.now);
  // A trial by a copy: the ready connection is to an address in trouble before the one that was used.
  upstreams.trouble({0, 1});
  upstreams.now += seconds(60);
  upstreams.connect(last);
  CHECK(upstreams.trials.copy(UpstreamMask::first(2), last, {}, upstreams.now));
  CHECK_FALSE(upstreams.trials.copy(second, last, {}, upstreams.now));
}

TEST_CASE("trials: of the eligible upstreams, and none behind the address that was used") {
  PlannerFixture upstreams({2, 1, 1});
  for (const AddressIndex index : {AddressIndex{0, 0}, {0, 1}, {1, 0}, {2, 0}}) upstreams.trouble(index);
  upstreams.now += seconds(60);
  const auto due = [&](const UpstreamOrder& among, std::optional<AddressIndex> used) {
    return upstreams.trials.due(among, used, upstreams.now);
  };
  CHECK(due(UpstreamMask::first(3), std::nullopt) == Addresses{{0, 0}, {0, 1}, {1, 0}, {2, 0}});
  CHECK(due(UpstreamMask(2), std::nullopt) == Addresses{{2, 0}});
  CHECK(due(UpstreamMask::first(3), AddressIndex{1, 0}) == Addresses{{0, 0}, {0, 1}, {1, 0}});
  CHECK(due(UpstreamMask(1), AddressIndex{1, 0}) == Addresses{{1, 0}});
  CHECK(due(UpstreamMask(), std::nullopt).empty());
  CHECK(upstreams.trials.urgent(UpstreamMask::first(3), upstreams.now) == Addresses{{0, 0}, {0, 1}, {1, 0}, {2, 0}});
  CHECK(upstreams.trials.urgent(UpstreamMask(2), upstreams.now) == Addresses{{2, 0}});
}

/// Another order than the configuration's: these and no others.
UpstreamOrder in_order(std::initializer_list<std::size_t> upstreams) {
  UpstreamOrder order;
  for (const std::size_t upstream : upstreams) order.add(upstream);
  return order;
}

TEST_CASE("the order of the query counts, not that of the configuration") {
  PlannerFixture upstreams({1, 1, 1});
  const UpstreamOrder order = in_order({2, 0});
  CHECK(upstreams.plan(order).target == AddressIndex{2, 0});
  const ConnectionHandle first = upstreams.connect({0, 0});
  upstreams.connect({1, 0});
  CHECK(upstreams.plan(order).target == AddressIndex{2, 0});
  CHECK(upstreams.plan(order, false).connection == first);
  upstreams.trouble({2, 0});
  CHECK(upstreams.plan(order).connection == first);
  upstreams.connect({2, 0});
  upstreams.trouble({0, 0}, Trouble::slow);
  CHECK(upstreams.plan(order).target == AddressIndex{2, 0});
}

TEST_CASE("nothing is good: the first of the query's order is used all the same") {
  PlannerFixture upstreams({1, 1, 1});
  for (const std::size_t upstream : {0, 1, 2}) {
    upstreams.connect({upstream, 0});
    upstreams.trouble({upstream, 0}, Trouble::errors);
  }
  CHECK(upstreams.plan(in_order({2, 0})).target == AddressIndex{2, 0});
  CHECK(upstreams.plan(in_order({0, 2})).target == AddressIndex{0, 0});
}

TEST_CASE("trials and copies go to those before the used one in the query's order, and to no other") {
  PlannerFixture upstreams({1, 1, 1, 1});
  upstreams.trouble({0, 0});
  upstreams.trouble({3, 0});
  const ConnectionHandle erring = upstreams.connect({2, 0});
  upstreams.trouble({2, 0}, Trouble::errors);
  upstreams.now += seconds(60);
  const ConnectionHandle good = upstreams.connect({1, 0});
  // 3 and 2 come before 1, and 0 behind it.
  const Plan plan = upstreams.plan(in_order({3, 2, 1, 0}));
  CHECK(plan.connection == good);
  CHECK(plan.copy == erring);
  CHECK(plan.trials == Addresses{{3, 0}});
  // Before the first there is nothing.
  const Plan first = upstreams.plan(in_order({1, 2, 3, 0}));
  CHECK(first.connection == good);
  CHECK_FALSE(first.copy);
  CHECK(first.trials.empty());
}

TEST_CASE("a plan says all at once: where to send, where a copy goes, and what is dialled") {
  PlannerFixture upstreams({1, 1, 1});
  // The first fails connections, the second answers with errors on one that is there.
  upstreams.trouble({0, 0});
  const ConnectionHandle erring = upstreams.connect({1, 0});
  upstreams.trouble({1, 0}, Trouble::errors);
  upstreams.now += seconds(60);
  const ConnectionHandle good = upstreams.connect({2, 0});
  const Plan plan = upstreams.plan(UpstreamMask::first(3));
  CHECK(plan.next == Next::send);
  CHECK(plan.connection == good);
  CHECK(plan.copy == erring);
  CHECK(plan.trials == Addresses{{0, 0}});
  // A query that may go to the third alone tries none of the others.
  const Plan narrow = upstreams.plan(UpstreamMask(2));
  CHECK(narrow.connection == good);
  CHECK_FALSE(narrow.copy);
  CHECK(narrow.trials.empty());
}

TEST_CASE("a patient query waits for the dial to the first upstream, another one takes what is there") {
  PlannerFixture upstreams({1, 1});
  const ConnectionHandle second = upstreams.connect({1, 0});
  upstreams.dial({0, 0});
  CHECK(upstreams.plan(UpstreamMask::first(2)).next == Next::wait);
  CHECK(upstreams.plan(UpstreamMask::first(2), false).connection == second);
}

TEST_CASE("a trial is claimed for all workers") {
  PlannerFixture upstreams({1});
  upstreams.trouble({0, 0});
  upstreams.now += seconds(60);
  REQUIRE(upstreams.trials.due(UpstreamMask(0), std::nullopt, upstreams.now) == Addresses{{0, 0}});
  CHECK(upstreams.trials.claim({0, 0}, false, upstreams.now));
  CHECK(upstreams.trials.due(UpstreamMask(0), std::nullopt, upstreams.now).empty());
}

TEST_CASE("urgent trials: when the next is due of the upstreams that are waited for") {
  PlannerFixture upstreams({1, 1});
  CHECK(upstreams.trials.next_event({}, upstreams.now) == kNever);
  CHECK(upstreams.trials.next_event(UpstreamMask(1), upstreams.now) == upstreams.now);
}

}  // namespace
}  // namespace dotrelay::test
