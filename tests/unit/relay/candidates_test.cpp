// Which upstreams a query may still be sent to.
#include "relay/candidates.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

UpstreamMask of(std::initializer_list<std::size_t> upstreams) {
  UpstreamMask mask;
  for (const std::size_t upstream : upstreams) mask.add(upstream);
  return mask;
}

TEST_CASE("what has been asked is not open until it is reopened") {
  Candidates candidates(UpstreamMask::first(3));
  CHECK(candidates.open() == UpstreamMask::first(3));
  candidates.rule_out(0);
  candidates.rule_out(2);
  CHECK(candidates.open() == of({1}));
  CHECK(candidates.asked() == of({0, 2}));
  candidates.reopen(2);
  CHECK(candidates.open() == of({1, 2}));
  candidates.reopen_all();
  CHECK(candidates.open() == UpstreamMask::first(3));
}

TEST_CASE("an upstream that is not eligible is never open") {
  Candidates candidates(of({1, 3}));
  CHECK(candidates.open() == of({1, 3}));
  candidates.rule_out(1);
  candidates.on_lost(1, false, kNow);
  candidates.reopen(UpstreamMask::first(4));
  candidates.accept_stale();
  candidates.reopen_all();
  CHECK(candidates.open() == of({1, 3}));
}

TEST_CASE("where a connection was lost, only fresh ones count; the second time the upstream is done with") {
  Candidates candidates(UpstreamMask::first(2));
  candidates.rule_out(0);
  candidates.on_lost(0, false, kNow);
  CHECK(candidates.open().contains(0));
  CHECK(candidates.is_stale(0));
  CHECK(candidates.fresh_since(0) == kNow);
  CHECK(candidates.fresh_since(1) == TimePoint{});
  candidates.on_lost(0, false, kNow + std::chrono::seconds(1));
  CHECK_FALSE(candidates.open().contains(0));
  CHECK(candidates.open().contains(1));
}

TEST_CASE("an upstream that has spoken is not asked again when its connection is lost") {
  Candidates candidates(UpstreamMask::first(2));
  candidates.on_lost(1, true, kNow);
  CHECK(candidates.open() == of({0}));
}

TEST_CASE("stale connections are accepted once, and only where the upstream is still open") {
  Candidates candidates(UpstreamMask::first(2));
  CHECK_FALSE(candidates.accept_stale());
  candidates.on_lost(0, false, kNow);
  CHECK(candidates.accept_stale());
  CHECK(candidates.fresh_since(0) == TimePoint{});
  CHECK_FALSE(candidates.accept_stale());
  candidates.on_lost(0, false, kNow);
  CHECK_FALSE(candidates.accept_stale());
}

}  // namespace
}  // namespace dotrelay
