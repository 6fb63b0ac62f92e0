// A set of upstreams in one word.
#include "relay/upstream_mask.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("of none, of one, and of the first") {
  CHECK(UpstreamMask().empty());
  CHECK(UpstreamMask::first(0).empty());
  const UpstreamMask last(kMaxUpstreams - 1);
  const UpstreamMask all = UpstreamMask::first(kMaxUpstreams);
  for (std::size_t i = 0; i < kMaxUpstreams; ++i) {
    CHECK(all.contains(i));
    CHECK(last.contains(i) == (i == kMaxUpstreams - 1));
    CHECK_FALSE(UpstreamMask().contains(i));
  }
  CHECK_FALSE(all.contains(kMaxUpstreams));
  CHECK_FALSE(UpstreamMask().has_several());
  CHECK_FALSE(last.has_several());
  CHECK(all.has_several());
}

TEST_CASE("upstreams are added and removed, one or several; what is not there may be removed") {
  UpstreamMask mask(2);
  mask.add(0);
  mask.add(2);
  CHECK(mask == UpstreamMask::first(3) - UpstreamMask(1));
  mask.add(UpstreamMask::first(2));
  CHECK(mask == UpstreamMask::first(3));
  mask.remove(1);
  mask.remove(7);
  CHECK_FALSE(mask.contains(1));
  mask.remove(UpstreamMask::first(2));
  CHECK(mask == UpstreamMask(2));
}

TEST_CASE("the difference and what two have in common") {
  const UpstreamMask left = UpstreamMask::first(3);
  UpstreamMask right(2);
  right.add(5);
  CHECK(left - right == UpstreamMask::first(2));
  CHECK((left & right) == UpstreamMask(2));
  CHECK((left & UpstreamMask()).empty());
}

}  // namespace
}  // namespace dotrelay
