// Upstreams in an order that need not be the configuration's.
#include "relay/upstream_order.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

using Numbers = std::vector<std::size_t>;

Numbers numbers(const UpstreamOrder& order) { return {order.begin(), order.end()}; }

UpstreamOrder order_of(const Numbers& upstreams) {
  UpstreamOrder order;
  for (const std::size_t upstream : upstreams) order.add(upstream);
  return order;
}

TEST_CASE("a set is in the order of the configuration") {
  CHECK(UpstreamOrder().empty());
  CHECK(UpstreamOrder(UpstreamMask()).empty());
  CHECK(numbers(UpstreamMask::first(3)) == Numbers{0, 1, 2});
  CHECK(numbers(UpstreamMask::first(kMaxUpstreams)).size() == kMaxUpstreams);
  CHECK(numbers(UpstreamMask(kMaxUpstreams - 1)) == Numbers{kMaxUpstreams - 1});
}

TEST_CASE("an order of its own") {
  const UpstreamOrder order = order_of({2, 0, 5});
  CHECK_FALSE(order.empty());
  CHECK(order.first() == 2);
  CHECK(numbers(order) == Numbers{2, 0, 5});
  CHECK(order.members().contains(5));
  CHECK(order.members() - UpstreamMask::first(3) == UpstreamMask(5));
}

TEST_CASE("a part of it keeps the order") {
  const UpstreamOrder order = order_of({2, 0, 5, 1});
  CHECK(numbers(order.only(UpstreamMask::first(2))) == Numbers{0, 1});
  CHECK(numbers(order.only(UpstreamMask::first(3))) == Numbers{2, 0, 1});
  CHECK(order.only(UpstreamMask(3)).empty());
}

}  // namespace
}  // namespace dotrelay
