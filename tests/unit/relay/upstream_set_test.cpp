// The upstreams with their connections: which connection is best, and which is one too many.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

constexpr auto kAny = [](const PooledConnection&) { return true; };

ConnectionHandle best(PartsFixture& parts) { return parts.set.best_ready(parts.set[0], {}, parts.now, kAny); }

/// So many queries wait on it.
void load(PartsFixture& parts, ConnectionHandle handle, std::size_t count) {
  const QueryHandle query = parts.begin("www.example");
  for (std::size_t i = 0; i < count; ++i) parts.connection(handle).pending.add(query, 1, parts.now);
}

TEST_CASE("queries gather on the first address's first connection; when that is loaded, on the least loaded one") {
  PartsFixture parts({2});
  const ConnectionHandle second_address = parts.connect({0, 1});
  const ConnectionHandle first = parts.connect({0, 0});
  CHECK(best(parts) == first);
  load(parts, first, UpstreamSet::kComfortableLoad);
  CHECK(best(parts) == second_address);
  load(parts, second_address, UpstreamSet::kComfortableLoad + 1);
  CHECK(best(parts) == first);
}

TEST_CASE("what is mute, suspect or not ready is never the best; nor what is too old for the query") {
  PartsFixture parts;
  parts.dial();
  CHECK_FALSE(best(parts));
  const ConnectionHandle handle = parts.connect();
  CHECK(best(parts) == handle);
  CHECK_FALSE(parts.set.best_ready(parts.set[0], parts.now + milliseconds(1), parts.now, kAny));
  parts.connection(handle).mute_at = parts.now;
  CHECK_FALSE(best(parts));
  CHECK(parts.set.lendable({0, 0}, parts.now) == handle);  // better than none at all for a sibling
}

TEST_CASE("one connection too many: an idle one goes, else the latest; never one that owes answers") {
  PartsFixture parts;
  std::vector<ConnectionHandle> handles;
  for (std::size_t i = 0; i < UpstreamSet::kMaxConnections; ++i) {
    handles.push_back(parts.set.add({0, 0}, parts.now));
    parts.set.mark_ready(handles.back(), parts.now);
    CHECK_FALSE(parts.set.surplus_connection(handles.back(), parts.now));
  }
  const ConnectionHandle latest = parts.set.add({0, 0}, parts.now);
  parts.set.mark_ready(latest, parts.now);
  load(parts, handles[0], 1);
  CHECK(parts.set.surplus_connection(latest, parts.now) == handles[1]);
  for (const ConnectionHandle handle : {handles[1], handles[2], handles[3]}) load(parts, handle, 1);
  CHECK(parts.set.surplus_connection(latest, parts.now) == latest);
}

TEST_CASE("dials are counted until they are ready or gone") {
  PartsFixture parts({2});
  const ConnectionHandle first = parts.set.add({0, 0}, parts.now);
  const ConnectionHandle second = parts.set.add({0, 1}, parts.now);
  CHECK(UpstreamSet::count_dials(parts.set[0]) == 2);
  CHECK(parts.set.prompt_dials_until(parts.set[0], parts.now) > parts.now);
  parts.set.mark_ready(first, parts.now);
  parts.set.remove(second, parts.now);
  CHECK(UpstreamSet::count_dials(parts.set[0]) == 0);
  CHECK(parts.set.prompt_dials_until(parts.set[0], parts.now) == parts.now);
  CHECK(parts.set.has_usable({0, 0}, parts.now));
  CHECK_FALSE(parts.set.has_usable({0, 1}, parts.now));
}

TEST_CASE("an answer proves the latest trouble over only when a connection made since is ready") {
  PartsFixture parts;
  const ConnectionHandle old = parts.connect();
  parts.trouble({0, 0});
  parts.now += seconds(1);
  const Health::Epoch latest = parts.set.address({0, 0}).health.epoch();
  CHECK(parts.set.proven_epoch(parts.connection(old), parts.now) != latest);
  parts.connect();
  CHECK(parts.set.proven_epoch(parts.connection(old), parts.now) == latest);
  CHECK(parts.set.proven_epoch(parts.connection(old), parts.now - milliseconds(1)) != latest);  // it was asked before
}

TEST_CASE("addresses by their number in the configuration") {
  PartsFixture parts({2, 1});
  CHECK(parts.set.index_of(1) == AddressIndex{0, 1});
  CHECK(parts.set.index_of(2) == AddressIndex{1, 0});
  CHECK_FALSE(parts.set.index_of(3));
}

}  // namespace
}  // namespace dotrelay::test
