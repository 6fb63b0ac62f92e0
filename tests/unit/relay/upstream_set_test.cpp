// The upstreams in failover order: what is chosen, and that nothing outside the eligible ones ever is.
#include "relay/upstream_set.hpp"

#include "relay_fixture.hpp"

namespace dotrelay::test {
namespace {

class SetFixture {
 public:
  explicit SetFixture(std::initializer_list<std::size_t> addresses_of_upstreams)
      : config(relay_config(addresses_of_upstreams, 0)) {}

  ConnectionHandle dial(AddressIndex index) {
    const ConnectionHandle handle = set.add(index, now);
    Line& line = lines.emplace_back();
    set.connections().get(handle).connection = std::make_unique<FakeConnection>(line);
    return handle;
  }

  ConnectionHandle connect(AddressIndex index) {
    const ConnectionHandle handle = dial(index);
    lines.back().state = Connection::State::ready;
    set.mark_ready(handle, now);
    return handle;
  }

  void trouble(AddressIndex index, Trouble trouble = Trouble::unreachable) {
    Health& health = set.address(index).health;
    health.on_trouble(trouble, "connection refused", health.epoch(), now, random);
  }

  UpstreamSet::Choice choose(UpstreamMask eligible) { return set.choose(Candidates(eligible), true, now); }

  Config config;
  TimePoint now{std::chrono::hours(1)};
  Random random{1};
  std::vector<SharedHealth> health = std::vector<SharedHealth>(16);
  std::deque<Line> lines;
  UpstreamSet set{config.upstreams, health, {}, seconds(1), random};
};

using Kind = UpstreamSet::Choice::Kind;

TEST_CASE("the first upstream is dialled, waited for, and used") {
  SetFixture upstreams({1, 1});
  UpstreamSet::Choice choice = upstreams.choose(UpstreamMask::first(2));
  CHECK(choice.kind == Kind::dial);
  CHECK(choice.target == AddressIndex{0, 0});
  const ConnectionHandle handle = upstreams.dial({0, 0});
  CHECK(upstreams.choose(UpstreamMask::first(2)).kind == Kind::wait);
  upstreams.set.mark_ready(handle, upstreams.now);
  choice = upstreams.choose(UpstreamMask::first(2));
  CHECK(choice.kind == Kind::send);
  CHECK(choice.connection == handle);
}

TEST_CASE("an upstream in trouble is passed over, and used when there is nothing better") {
  SetFixture upstreams({1, 1});
  const ConnectionHandle first = upstreams.connect({0, 0});
  upstreams.trouble({0, 0}, Trouble::slow);
  CHECK(upstreams.choose(UpstreamMask::first(2)).target == AddressIndex{1, 0});
  const UpstreamSet::Choice choice = upstreams.choose(UpstreamMask(0));
  CHECK(choice.kind == Kind::send);
  CHECK(choice.connection == first);
}

TEST_CASE("nothing outside the eligible upstreams is chosen, tried, hoped for or counted as usable") {
  SetFixture upstreams({2, 1});
  const UpstreamMask second(1);
  const AddressIndex last{1, 0};
  upstreams.connect({0, 1});
  upstreams.dial({0, 0});
  CHECK(upstreams.choose(second).target == last);
  CHECK_FALSE(upstreams.set.any_usable(second, upstreams.now));
  CHECK(upstreams.set.any_usable(UpstreamMask::first(2), upstreams.now));
  CHECK(upstreams.set.prompt_dials_until(second, upstreams.now) == upstreams.now);
  CHECK(upstreams.set.hope_until(second, upstreams.now) == upstreams.now);
  // A trial by a copy: the ready connection is to an address in trouble before the one that was used.
  upstreams.trouble({0, 1});
  upstreams.now += seconds(60);
  upstreams.connect(last);
  CHECK(upstreams.set.trial_by_copy(UpstreamMask::first(2), last, upstreams.now));
  CHECK_FALSE(upstreams.set.trial_by_copy(second, last, upstreams.now));
}

TEST_CASE("trials: of the eligible upstreams, and none behind the address that was used") {
  SetFixture upstreams({2, 1, 1});
  for (const AddressIndex index : {AddressIndex{0, 0}, {0, 1}, {1, 0}, {2, 0}}) upstreams.trouble(index);
  upstreams.now += seconds(60);
  using Addresses = std::vector<AddressIndex>;
  const auto due = [&](UpstreamMask among, std::optional<AddressIndex> used, bool urgent) {
    return upstreams.set.trials_due(among, used, urgent, upstreams.now);
  };
  for (const bool urgent : {false, true}) {
    CHECK(due(UpstreamMask::first(3), std::nullopt, urgent) == Addresses{{0, 0}, {0, 1}, {1, 0}, {2, 0}});
    CHECK(due(UpstreamMask(2), std::nullopt, urgent) == Addresses{{2, 0}});
    CHECK(due(UpstreamMask::first(3), AddressIndex{1, 0}, urgent) == Addresses{{0, 0}, {0, 1}, {1, 0}});
    CHECK(due(UpstreamMask(1), AddressIndex{1, 0}, urgent) == Addresses{{1, 0}});
    CHECK(due(UpstreamMask(), std::nullopt, urgent).empty());
  }
}

TEST_CASE("the next event: urgent dials count for the upstreams that are waited for") {
  SetFixture upstreams({1, 1});
  CHECK(upstreams.set.next_event({}, upstreams.now) == kNever);
  CHECK(upstreams.set.next_event(UpstreamMask(1), upstreams.now) == upstreams.now);
}

}  // namespace
}  // namespace dotrelay::test
