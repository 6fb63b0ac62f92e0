// The parts of the relay without a Forwarder, for tests of one of them: queries, upstreams, and connections that are
// dialled, made ready and looked at by hand.
#pragma once

#include "relay/query_endings.hpp"
#include "relay_fixture.hpp"

#include <memory>
#include <string_view>

namespace dotrelay::test {

class PartsFixture {
 public:
  explicit PartsFixture(std::initializer_list<std::size_t> addresses_of_upstreams = {1}, double hedge = 0)
      : config(relay_config(addresses_of_upstreams, hedge)) {}

  /// The latest dial.
  Line& line() { return upstreams.lines.back(); }
  Line& line(std::size_t index) { return upstreams.lines[index]; }

  ConnectionHandle dial(AddressIndex index = {}) { return pool.dial(index, now); }
  ConnectionHandle connect(AddressIndex index = {}) {
    const ConnectionHandle handle = dial(index);
    line().state = Connection::State::ready;
    pool.on_ready(handle, now);
    return handle;
  }
  PooledConnection& connection(ConnectionHandle handle) { return set.connections().get(handle); }

  void trouble(AddressIndex index, Trouble trouble = Trouble::unreachable) {
    Health& health = set.address(index).health;
    health.on_trouble(trouble, "connection refused", health.epoch(), now, random);
  }

  /// A query that one client waits for.
  QueryHandle begin(const std::string& name, const UpstreamOrder& order = UpstreamMask::first(kMaxUpstreams)) {
    const Octets message = MessageBuilder(++asked_).question(name);
    const dns::QueryView view = dns::parse_query(message).query;
    const QueryKey key{*view.question, 0x0100, false, {}};
    const std::uint64_t hash = in_flight.hash(key.question);
    REQUIRE(clients.admit(0));
    const QueryHandle query = queries.emplace(key, QueryHashes{hash, in_flight.hash(key, hash)},
                                              order.only(set.everyone()), now, clients.slab());
    clients.on_begun(0);
    in_flight.list(query);
    wait_for(query, message);
    return query;
  }
  /// One more client waits for it. Returns its number.
  std::uint32_t wait_for(QueryHandle query, const Octets& message) {
    const auto number = static_cast<std::uint32_t>(channel.clients.size());
    channel.clients[number].waiting = true;
    const Incoming incoming{
        .message = message, .source = {}, .transport = {}, .channel = &channel, .client = {number, 0}};
    clients.add(query, incoming, dns::parse_query(message).query, 0, now);
    return number;
  }
  Query& query(QueryHandle handle) { return queries.get(handle); }

  [[nodiscard]] std::string logged() const { return log.text(); }
  [[nodiscard]] std::uint64_t count(Counter counter) const { return counters.get(counter); }

  Config config;
  TimePoint now{std::chrono::hours(1)};
  Random random{1};
  Counters counters;
  RecordedLog log;
  std::vector<SharedWord> memory_words = std::vector<SharedWord>(1);
  MemoryBudget memory{memory_words, 0, 4096};
  FakeUpstreams upstreams;
  RecordingChannel channel{now};
  Environment environment{config, upstreams, counters, memory, log, random};
  std::vector<SharedHealth> health = std::vector<SharedHealth>(16);

  Slab<Query> queries;
  InFlight in_flight{queries, {1, 2}};
  WaitingClients clients{environment, queries, {1, 2}};
  UpstreamSet set{config.upstreams, health, {}, environment.patience(), random};
  Lending lending{set, in_flight, counters, config.relay.deadline, nullptr};
  Experience experience{environment, set, in_flight};
  ConnectionPool pool{environment, queries, set, lending, experience};
  PathWatch path_watch{environment, set, lending, experience, pool};
  Router router{environment, queries, set, pool, experience};
  CachedAnswers cached{environment};
  QueryEndings endings{queries, in_flight, clients, cached, router};

 private:
  unsigned asked_ = 0;
};

}  // namespace dotrelay::test
