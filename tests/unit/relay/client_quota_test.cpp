// What one client may have of the relay, and what is one client.
#include "relay/client_quota.hpp"

#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

IpAddress address(std::string_view text) { return *parse_ip_address(text); }

IpAddress numbered(std::uint32_t i) {
  IpAddress client;
  client.octets = {10, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                   static_cast<std::uint8_t>(i)};
  return client;
}

TEST_CASE(
    "a client that is alone gets half of the waiting places and three quarters of the questions, and gives back") {
  ClientQuota quota({1, 2});
  const ClientQuota::Place place = quota.place_of(address("10.0.0.1"));
  constexpr std::size_t kAll = 1000;
  std::size_t waiting = 0;
  for (; quota.may_wait(place, kAll - waiting); ++waiting) quota.waits(place);
  CHECK(waiting == 500);
  std::size_t begun = 0;
  for (; quota.may_begin(place, kAll - begun); ++begun) quota.begins(place);
  CHECK(begun == 750);
  const ClientQuota::Place other = quota.place_of(address("10.0.0.2"));
  CHECK(quota.may_wait(other, kAll - waiting));
  CHECK(quota.may_begin(other, kAll - begun));
  CHECK_FALSE(quota.may_begin(other, 0));

  CHECK(quota.place_of(address("10.0.0.1")) == place);
  quota.waits_no_more(place);
  quota.ends(place);
  CHECK(quota.may_wait(place, kAll - waiting + 1));
  CHECK(quota.may_begin(place, kAll - begun + 1));
}

TEST_CASE("a client is an IPv4 address or an IPv6 /56") {
  ClientQuota quota({1, 2});
  const auto place = [&](std::string_view text) {
    const ClientQuota::Place place = quota.place_of(address(text));
    quota.waits(place);  // so that it keeps the place
    return place;
  };
  const ClientQuota::Place first = place("2001:db8:0:1100::1");
  CHECK(place("2001:db8:0:11ff:ffff::2") == first);
  CHECK(place("2001:db8:0:1200::1") != first);
  CHECK(place("2001:db8:0:1000::1") != first);
  const ClientQuota::Place v4 = place("192.0.2.1");
  CHECK(place("192.0.2.2") != v4);
  CHECK(place("c000:201::") != v4);  // the same first four octets
  CHECK(place("192.0.2.1") == v4);
}

TEST_CASE("clients have places of their own, until all that they can have are taken: then they join those with least") {
  ClientQuota quota({1, 2});
  const ClientQuota::Place greedy = quota.place_of(numbered(0));
  for (int i = 0; i < 1000; ++i) quota.waits(greedy);
  std::set<ClientQuota::Place> places = {greedy};
  for (std::uint32_t i = 1; i <= 200; ++i) {
    const ClientQuota::Place place = quota.place_of(numbered(i));
    quota.waits(place);
    places.insert(place);
  }
  CHECK(places.size() == 201);
  bool shared_with_greedy = false;
  for (std::uint32_t i = 201; i <= 10'000; ++i) {
    const ClientQuota::Place place = quota.place_of(numbered(i));
    quota.waits(place);
    shared_with_greedy = shared_with_greedy || place == greedy;
  }
  CHECK_FALSE(shared_with_greedy);
  CHECK(quota.place_of(numbered(0)) == greedy);
}

TEST_CASE("a client with a few queries is not greedy, however few others wait") {
  ClientQuota quota({1, 2});
  const ClientQuota::Place place = quota.place_of(address("10.0.0.1"));
  std::size_t waiting = 0;
  for (; waiting < ClientQuota::kFew; ++waiting) quota.waits(place);
  CHECK_FALSE(quota.is_greedy(place, waiting));
  quota.waits(place);
  CHECK(quota.is_greedy(place, waiting + 1));
  CHECK_FALSE(quota.is_greedy(place, 4 * (waiting + 1)));
}

TEST_CASE("places that are free again are given to others") {
  ClientQuota quota({1, 2});
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const ClientQuota::Place place = quota.place_of(numbered(i));
    REQUIRE(quota.may_wait(place, 1));  // it has nothing yet
    quota.waits(place);
    quota.begins(place);
    quota.waits_no_more(place);
    quota.ends(place);
  }
}

}  // namespace
}  // namespace dotrelay
