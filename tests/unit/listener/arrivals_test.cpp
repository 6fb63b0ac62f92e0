// What is read in a turn, and taken in one go.
#include "listener/arrivals.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>

namespace dotrelay {
namespace {

void arrive(Arrivals& arrivals, std::uint32_t session, std::string_view octets) {
  std::ranges::copy(octets, arrivals.room().begin());
  arrivals.add({session, 1}, octets.size());
}

std::string taken(Arrivals& arrivals) {
  std::string all;
  arrivals.take_all([&](Handle<TcpSession> session, Bytes octets) {
    all += std::to_string(session.index) + ":" + std::string(octets.begin(), octets.end()) + " ";
  });
  return all;
}

TEST_CASE("all is taken once, in the order in which it came") {
  Arrivals arrivals;
  CHECK(arrivals.empty());
  arrive(arrivals, 7, "seven");
  arrive(arrivals, 3, "three");
  CHECK_FALSE(arrivals.empty());
  CHECK(taken(arrivals) == "7:seven 3:three ");
  CHECK(arrivals.empty());
  CHECK(taken(arrivals).empty());
  arrive(arrivals, 4, "four");
  CHECK(taken(arrivals) == "4:four ");
}

TEST_CASE("there is room for a read of some length, until it is full; then after all was taken") {
  Arrivals arrivals;
  CHECK(arrivals.room().size() == Arrivals::kRoom);
  arrivals.add({1, 1}, Arrivals::kRoom - Arrivals::kLeastRoom);
  CHECK_FALSE(arrivals.full());
  CHECK(arrivals.room().size() == Arrivals::kLeastRoom);
  arrivals.add({1, 1}, 1);
  CHECK(arrivals.full());
  arrivals.take_all([](Handle<TcpSession>, Bytes) {});
  CHECK_FALSE(arrivals.full());
  CHECK(arrivals.room().size() == Arrivals::kRoom);
}

}  // namespace
}  // namespace dotrelay
