// The table of questions in flight.
#include "relay/in_flight.hpp"

#include "dns/message_builder.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <set>

namespace dotrelay::test {
namespace {

struct Table {
  Slab<Query> queries;
  Slab<Waiter> waiters;
  InFlight in_flight{queries, {1, 2}};

  std::uint64_t hash(const QueryKey& key) const { return in_flight.hash(key, in_flight.hash(key.question)); }
  QueryHandle add(const QueryKey& key) {
    const QueryHandle handle = queries.emplace(key, QueryHashes{in_flight.hash(key.question), hash(key)},
                                               UpstreamMask::first(1), TimePoint{}, waiters);
    in_flight.list(handle);
    return handle;
  }
  QueryHandle find(const QueryKey& key) const { return in_flight.find(key, hash(key)); }
  QueryHandle add(const Octets& qname) { return add(QueryKey{{qname, 1, 1}, 0, false, {}}); }
  QueryHandle find(const Octets& qname, std::uint16_t flags = 0) const {
    return find(QueryKey{{qname, 1, 1}, flags, false, {}});
  }
};

TEST_CASE("questions are found whatever their case, until they are unlisted") {
  Table table;
  const QueryHandle handle = table.add(name("www.example"));
  CHECK(table.find(name("WWW.Example")) == handle);
  CHECK_FALSE(table.find(name("www.example"), 0x0100));
  table.in_flight.unlist(handle);
  CHECK_FALSE(table.find(name("www.example")));
  table.in_flight.unlist(handle);  // twice does no harm
}

TEST_CASE("thousands of questions in one table, taken out in another order") {
  Table table;
  std::vector<QueryHandle> handles;
  for (int i = 0; i < 20'000; ++i) handles.push_back(table.add(name("n" + std::to_string(i) + ".example")));
  for (int i = 0; i < 20'000; i += 2) table.in_flight.unlist(handles[static_cast<std::size_t>(i)]);
  bool right = true;
  for (int i = 0; i < 20'000; ++i) {
    const QueryHandle found = table.find(name("n" + std::to_string(i) + ".example"));
    right = right && (i % 2 == 0 ? !found : found == handles[static_cast<std::size_t>(i)]);
  }
  CHECK(right);
}

TEST_CASE("a domain's hash is that of the last two labels in any case") {
  Table table;
  const auto domain = [&](const Octets& qname, std::uint16_t type = 1) {
    return table.in_flight.domain_hash({qname, type, 1});
  };
  CHECK(domain(name("www.Zone.example"), 28) == domain(name("a.b.zone.EXAMPLE")));
  CHECK(domain(name("zone.example")) == domain(name("www.zone.example")));
  CHECK(domain(name("zone.example")) != domain(name("zones.example")));
  CHECK(domain(name("zone.example")) != domain(name("zone.test")));
  CHECK(domain(name("example")) != domain(name("zone.example")));
  CHECK(domain(name(".")) == domain(name(".")));
}

TEST_CASE("the hash covers the longest name, the type and the class, and not the case") {
  Table table;
  const Octets longest = name_of_size(255);
  Octets capitals = longest;
  for (std::uint8_t& octet : capitals) octet = octet == 'n' ? 'N' : octet;
  const auto hash = [&](const Octets& qname, std::uint16_t type, std::uint16_t klass) {
    return table.in_flight.hash({qname, type, klass});
  };
  CHECK(hash(longest, 1, 1) == hash(capitals, 1, 1));
  CHECK(hash(longest, 1, 1) != hash(longest, 2, 1));
  CHECK(hash(longest, 1, 1) != hash(longest, 1, 3));
  CHECK(hash(longest, 1, 1) != hash(name_of_size(254), 1, 1));
}

TEST_CASE("queries of different zones are never the same") {
  Table table;
  const Octets qname = name("www.example");
  QueryKey key{{qname, 1, 1}, 0, false, {}};
  const QueryHandle common = table.add(key);
  key.zone = 2;
  CHECK_FALSE(table.find(key));
  const QueryHandle own = table.add(key);
  CHECK(table.find(key) == own);
  key.zone = kCommonZone;
  CHECK(table.find(key) == common);
}

TEST_CASE("questions that differ in flags, DO or options only are spread over the buckets, and found") {
  Table table;
  const Octets qname = name("www.example");
  std::set<std::uint64_t> hashes;
  for (const std::uint16_t flags : {0x0000, 0x0010, 0x0020, 0x0100}) {
    for (const bool dnssec_ok : {false, true}) hashes.insert(table.hash({{qname, 1, 1}, flags, dnssec_ok, {}}));
  }
  CHECK(hashes.size() == 8);

  constexpr std::uint32_t kMany = 30'000;
  std::vector<Octets> options;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    options.push_back({0, 3, 0, 3, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                       static_cast<std::uint8_t>(i)});
  }
  std::vector<std::size_t> bucket_sizes(kMany);
  std::vector<QueryHandle> handles;
  for (const Octets& option : options) {
    const QueryKey key{{qname, 1, 1}, 0, false, option};
    ++bucket_sizes[table.hash(key) % bucket_sizes.size()];
    handles.push_back(table.add(key));
  }
  CHECK(*std::ranges::max_element(bucket_sizes) < 16);
  bool right = true;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    const QueryKey key{{qname, 1, 1}, 0, false, options[i]};
    right = right && table.find(key) == handles[i];
    table.in_flight.unlist(handles[i]);
    right = right && !table.find(key);
  }
  CHECK(right);
}

}  // namespace
}  // namespace dotrelay::test
