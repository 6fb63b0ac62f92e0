// Which clients may ask, as this machine's addresses come and go, and what is told of the others.
#include "listener/source_filter.hpp"

#include "base/address.hpp"
#include "base/recorded_log.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using std::chrono::seconds;

IpAddress ip(std::string_view text) { return *parse_ip_address(text); }

struct Filter {
  AllowList allow;
  SharedWord told_at{};
  Counters counters;
  test::RecordedLog log;
  SourceFilter sources{allow, told_at, counters, log};

  [[nodiscard]] std::string logged() const { return log.text(); }
  [[nodiscard]] long lines() const {
    const std::string text = logged();
    return std::ranges::count(text, '\n');
  }
};

const std::vector<InterfaceAddress> kMachine = {
    {ip("127.0.0.1"), 8, false},     {ip("203.0.113.9"), 32, false},  // on the loopback interface
    {ip("198.51.100.77"), 24, true}, {ip("2001:db8:1:2:3:4:5:6"), 64, true}, {ip("0.0.0.1"), 0, true},
};

TEST_CASE("loopback is every address of this machine, local is the networks on its links") {
  Filter own;
  own.allow.own_addresses = true;
  own.sources.use(kMachine);
  for (const std::string_view inside : {"203.0.113.9", "198.51.100.77", "2001:db8:1:2:3:4:5:6", "127.0.0.1"}) {
    CHECK(own.sources.allows(ip(inside)));
  }
  for (const std::string_view outside : {"203.0.113.8", "198.51.100.78", "2001:db8:1:2:3:4:5:7", "127.0.0.2"}) {
    CHECK_FALSE(own.sources.allows(ip(outside)));
  }

  Filter links;
  links.allow.link_networks = true;
  links.sources.use(kMachine);
  for (const std::string_view inside : {"198.51.100.1", "198.51.100.255", "2001:db8:1:2::1", "2001:db8:1:2:ffff::"}) {
    CHECK(links.sources.allows(ip(inside)));
  }
  for (const std::string_view outside :
       {"198.51.101.1", "2001:db8:1:3::1", "203.0.113.9", "127.0.0.1", "8.8.8.8", "0.0.0.0", "::"}) {
    CAPTURE(outside);
    CHECK_FALSE(links.sources.allows(ip(outside)));
  }
}

TEST_CASE("without these words the machine's addresses do not matter") {
  Filter filter;
  filter.allow.ranges = {*parse_address_range("192.0.2.0/24")};
  CHECK_FALSE(filter.sources.depends_on_interfaces());
  filter.sources.use(kMachine);
  CHECK(filter.sources.allows(ip("192.0.2.1")));
  CHECK_FALSE(filter.sources.allows(ip("198.51.100.77")));
}

TEST_CASE("a network that goes is served no more, one that comes is") {
  Filter filter;
  filter.allow.link_networks = true;
  filter.sources.use(kMachine);
  CHECK(filter.sources.allows(ip("198.51.100.1")));
  filter.sources.use({{ip("192.0.2.1"), 25, true}});
  CHECK_FALSE(filter.sources.allows(ip("198.51.100.1")));
  CHECK(filter.sources.allows(ip("192.0.2.126")));
  CHECK_FALSE(filter.sources.allows(ip("192.0.2.129")));
}

TEST_CASE("so many networks and no more, each counted once") {
  Filter filter;
  filter.allow.link_networks = true;
  std::vector<InterfaceAddress> many;
  for (std::size_t i = 0; i < SourceFilter::kMaxNetworks; ++i) {
    IpAddress address;
    address.octets = {10, static_cast<std::uint8_t>(i), 0, 1};
    many.push_back({address, 24, true});
    address.octets[3] = 2;
    many.push_back({address, 24, true});
  }
  filter.sources.use(many);
  CHECK(filter.lines() == 0);
  CHECK(filter.sources.allows(ip("10.255.0.9")));
  many.push_back({ip("11.0.0.1"), 24, true});
  filter.sources.use(many);
  filter.sources.use(many);
  CHECK(filter.lines() == 1);
  CHECK(filter.logged().find("more than 4096 addresses or 256 networks") != std::string::npos);
  CHECK(filter.sources.allows(ip("10.255.0.9")));
  CHECK_FALSE(filter.sources.allows(ip("11.0.0.9")));
}

TEST_CASE("denied clients: a line a minute, of all workers together") {
  Filter one;
  Filter other;
  SourceFilter second(other.allow, one.told_at, other.counters, other.log);
  const TimePoint start{std::chrono::hours(1)};
  one.sources.deny(ip("203.0.113.1"), "UDP", start);
  CHECK(one.logged().find("info    worker 1: denied 203.0.113.1 over UDP: listen.allow does not list it\n") !=
        std::string::npos);
  for (int i = 0; i < 57; ++i) one.sources.deny(ip("203.0.113.2"), "UDP", start + seconds(i));
  second.deny(ip("203.0.113.3"), "TCP", start + seconds(30));
  CHECK(one.lines() == 1);
  CHECK(other.lines() == 0);
  CHECK(one.counters.get(Counter::denied) == 58);
  one.sources.deny(ip("2001:db8::1"), "TCP", start + seconds(61));
  second.deny(ip("203.0.113.3"), "TCP", start + seconds(62));
  CHECK(one.lines() == 2);
  CHECK(one.logged().find("denied 2001:db8::1 over TCP: listen.allow does not list it; and 57 queries and connections "
                          "before it\n") != std::string::npos);
  CHECK(other.lines() == 0);
  second.deny(ip("203.0.113.4"), "UDP", start + seconds(130));
  CHECK(other.logged().find("and 2 queries") != std::string::npos);
}

}  // namespace
}  // namespace dotrelay
