// What the relay's decisions cost: its tables by themselves, and the whole forwarder, which is a query's life without
// sockets and TLS. The clock stands still, so nothing is ever late.
#include "config/parser.hpp"
#include "instant_upstream.hpp"
#include "measuring.hpp"
#include "relay/forwarder.hpp"
#include "relay/in_flight.hpp"
#include "relay/pending_queries.hpp"
#include "relay/zones.hpp"
#include "samples.hpp"

#include <chrono>
#include <vector>

namespace dotrelay::bench {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

std::size_t live_of(const benchmark::State& state) { return static_cast<std::size_t>(state.range(0)); }

struct Pending {
  explicit Pending(std::size_t live) {
    for (std::size_t i = 0; i < live; ++i) ids.push_back(add());
  }

  std::uint16_t add() { return table.add({static_cast<std::uint32_t>(ids.size()), 0}, 1, kNow); }

  Random random{1};
  PendingQueries table{random};
  std::vector<std::uint16_t> ids;
};

void pending_add_remove(benchmark::State& state) {
  Pending pending(live_of(state));
  std::size_t at = 0;
  for (auto _ : state) {
    pending.table.remove(pending.ids[at]);
    pending.ids[at] = pending.add();
    if (++at == pending.ids.size()) at = 0;
  }
  check(pending.table.live() == pending.ids.size(), "as many IDs are reserved as were");
  count_items(state);
}

void pending_find(benchmark::State& state) {
  const Pending pending(live_of(state));
  for (const std::uint16_t id : pending.ids) check(pending.table.find(id) != nullptr, "a reserved ID is found");
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(pending.table.find(pending.ids[at]));
    if (++at == pending.ids.size()) at = 0;
  }
  count_items(state);
}

/// Questions that clients ask, and as many in flight.
struct Questions {
  explicit Questions(std::size_t live) {
    for (std::size_t i = 0; i < live; ++i) names.push_back(sample_name(i));
    for (const Octets& name : names) {
      keys.push_back({.question = {name, 1, 1}, .flags = 0x0100, .dnssec_ok = false, .options = {}});
      const std::uint64_t question_hash = table.hash(keys.back().question);
      hashes.push_back(table.hash(keys.back(), question_hash));
      handles.push_back(queries.emplace(keys.back(), QueryHashes{question_hash, hashes.back()}, UpstreamMask::first(1),
                                        kNow, waiters));
      table.list(handles.back());
    }
  }

  std::vector<Octets> names;
  std::vector<QueryKey> keys;
  std::vector<std::uint64_t> hashes;
  std::vector<QueryHandle> handles;
  Slab<Waiter> waiters;
  Slab<Query> queries;
  InFlight table{queries, {1, 2}};
};

void in_flight_hash(benchmark::State& state) {
  const Questions questions(32);
  Ring ring(std::span{questions.keys});
  for (auto _ : state) {
    const QueryKey& key = ring.next();
    benchmark::DoNotOptimize(questions.table.hash(key, questions.table.hash(key.question)));
  }
  count_items(state);
}

/// A client asks what is in flight.
void in_flight_find(benchmark::State& state) {
  const Questions questions(live_of(state));
  for (std::size_t i = 0; i < questions.keys.size(); ++i) {
    check(questions.table.find(questions.keys[i], questions.hashes[i]) == questions.handles[i],
          "a question in flight is found");
  }
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(questions.table.find(questions.keys[at], questions.hashes[at]));
    if (++at == questions.keys.size()) at = 0;
  }
  count_items(state);
}

/// A client asks a question of its own.
void in_flight_find_nothing(benchmark::State& state) {
  const Questions questions(live_of(state));
  const Octets name = sample_name(1000000);
  const QueryKey key{.question = {name, 1, 1}, .flags = 0x0100, .dnssec_ok = false, .options = {}};
  std::uint64_t hash = questions.table.hash(key.question);
  for (auto _ : state) benchmark::DoNotOptimize(questions.table.find(key, ++hash));
  count_items(state);
}

void in_flight_unlist_list(benchmark::State& state) {
  Questions questions(live_of(state));
  std::size_t at = 0;
  for (auto _ : state) {
    questions.table.unlist(questions.handles[at]);
    questions.table.list(questions.handles[at]);
    if (++at == questions.handles.size()) at = 0;
  }
  for (std::size_t i = 0; i < questions.keys.size(); ++i) {
    check(questions.table.find(questions.keys[i], questions.hashes[i]) == questions.handles[i],
          "what was listed again is found");
  }
  count_items(state);
}

/// Which zone the name is in, which is asked of every query. `names`: of the configuration, one of them the parent of
/// all that are asked for; 0: none, as in most configurations.
void zone_of(benchmark::State& state) {
  Config config;
  config.upstreams.resize(1);
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    if (i % 256 == 0) config.zones.emplace_back().answer = ZoneAnswer::nodata;
    config.zones.back().names.push_back({i == 0 ? "example" : "zone" + std::to_string(i) + ".other.example", {}});
  }
  const Zones zones(config);
  std::vector<dns::Question> questions;
  for (const Sample& sample : few_samples()) questions.push_back({sample.name, 1, 1});
  Ring ring(std::span<const dns::Question>{questions});
  for (auto _ : state) benchmark::DoNotOptimize(zones.of(ring.next()));
  count_items(state);
}

/// The query as an object: what it is given, and the memory that it takes and gives back.
void query_begin_end(benchmark::State& state) {
  Questions questions(32);
  Ring ring(std::span<const QueryKey>{questions.keys});
  for (auto _ : state) {
    const QueryHandle handle =
        questions.queries.emplace(ring.next(), QueryHashes{1, 1}, UpstreamMask::first(1), kNow, questions.waiters);
    questions.queries.get(handle).attempts.push_back({});
    benchmark::ClobberMemory();
    questions.queries.erase(handle);
  }
  count_items(state);
}

/// Counts the answers, and those that are not whose they should be.
class Clients final : public ReplyChannel {
 public:
  void deliver(ClientKey client, Bytes answer) noexcept override {
    ++delivered;
    if (load_u16(answer.data()) != client.index || (answer[3] & 15) != 0) ++wrong;
  }

  std::size_t delivered = 0;
  std::size_t wrong = 0;
};

/// A forwarder with three upstreams of two addresses, as the sample configuration has, and a connection to the first.
class Relay {
 public:
  Relay() {
    ask();
    forwarder_.on_activity(upstream_.handle(), kNow);
    check(upstream_.sent() == 1, "the first query leaves once there is a connection");
    answer(1);
    check(clients_.delivered == 1 && forwarder_.idle(), "the first query is answered");
  }

  ~Relay() {
    check(clients_.wrong == 0, "each client gets the answer to its question");
    check(clients_.delivered + in_flight_ == upstream_.sent(), "every query is sent once and answered once");
  }

  void ask() {
    const std::size_t number = asked_++ % samples().size();
    client_.octets[3] = static_cast<std::uint8_t>(number);
    const Accepted accepted = forwarder_.accept({.message = samples_[number].query,
                                                 .source = client_,
                                                 .transport = {},
                                                 .channel = &clients_,
                                                 .client = {static_cast<std::uint32_t>(number), 0}},
                                                kNow);
    if (accepted.kind != Accepted::Kind::waiting) check(false, "a query waits for its answer");
    ++in_flight_;
  }

  /// The upstream answers the `count` oldest queries at once.
  void answer(std::size_t count) {
    in_flight_ -= count;
    upstream_.answer(count);
    forwarder_.on_activity(upstream_.handle(), kNow);
  }

  Forwarder& forwarder() { return forwarder_; }

 private:
  static Config make_config() {
    auto config = parse_config(
        "[[upstream]]\nname = \"first\"\naddresses = [\"192.0.2.1\", \"192.0.2.2\"]\ntls_name = \"first.example\"\n"
        "[[upstream]]\nname = \"second\"\naddresses = [\"192.0.2.3\", \"192.0.2.4\"]\ntls_name = \"second.example\"\n"
        "[[upstream]]\nname = \"third\"\naddresses = [\"192.0.2.5\", \"192.0.2.6\"]\ntls_name = \"third.example\"\n",
        "configuration");
    check(static_cast<bool>(config), "the configuration is good");
    return *config;
  }

  const Config config_ = make_config();
  std::vector<SharedHealth> health_ = std::vector<SharedHealth>(6);
  Counters counters_;
  Log log_{LogLevel::error, "bench-micro"};
  Random random_{1};
  InstantUpstream upstream_;
  Clients clients_;
  std::vector<SharedWord> memory_words_ = std::vector<SharedWord>(1);
  MemoryBudget memory_{memory_words_, 0, 4096};
  Forwarder forwarder_{{.config = config_,
                        .dialer = upstream_,
                        .counters = counters_,
                        .memory = memory_,
                        .log = log_,
                        .random = random_},
                       health_};
  const std::span<const Sample> samples_ = samples();
  IpAddress client_{.is_v6 = false, .octets = {10, 0, 0, 0}};
  std::size_t asked_ = 0;
  std::size_t in_flight_ = 0;
};

/// One query in and one answer out, while others wait.
void query_life(benchmark::State& state) {
  Relay relay;
  for (std::size_t i = 1; i < live_of(state); ++i) relay.ask();
  for (auto _ : state) {
    relay.ask();
    relay.answer(1);
  }
  count_items(state);
}

/// Many queries in, then many answers out: turns of a busy loop. `watched` is which half is measured.
enum class Half { accept, answer };
void burst(benchmark::State& state, Half watched) {
  Relay relay;
  for (std::size_t i = kBurst; i < live_of(state); ++i) relay.ask();
  for (auto _ : state) {
    const double begin = computed_seconds();
    for (std::size_t i = 0; i < kBurst; ++i) relay.ask();
    const double middle = computed_seconds();
    relay.answer(kBurst);
    const double end = computed_seconds();
    state.SetIterationTime(watched == Half::accept ? middle - begin : end - middle);
  }
  count_items(state, kBurst);
}

/// What each turn of the loop asks at its end.
void next_timeout(benchmark::State& state) {
  Relay relay;
  for (std::size_t i = 0; i < live_of(state); ++i) relay.ask();
  check(relay.forwarder().next_timeout(kNow) > kNow, "nothing is due");
  for (auto _ : state) benchmark::DoNotOptimize(relay.forwarder().next_timeout(kNow));
  count_items(state);
}

void live(benchmark::internal::Benchmark* benchmark) { benchmark->ArgName("live")->Arg(1)->Arg(200)->Arg(4000); }

BENCHMARK(pending_add_remove)->Name("relay/pending_add_remove")->Apply(live);
BENCHMARK(pending_find)->Name("relay/pending_find")->Apply(live);
BENCHMARK(in_flight_hash)->Name("relay/in_flight_hash");
BENCHMARK(in_flight_find)->Name("relay/in_flight_find")->Apply(live);
BENCHMARK(in_flight_find_nothing)->Name("relay/in_flight_find_nothing")->Apply(live);
BENCHMARK(in_flight_unlist_list)->Name("relay/in_flight_unlist_list")->Apply(live);
BENCHMARK(zone_of)->Name("relay/zone_of")->ArgName("names")->Arg(0)->Arg(1)->Arg(10000);
BENCHMARK(query_begin_end)->Name("relay/query_begin_end");
BENCHMARK(query_life)->Name("relay/query_life")->ArgName("in_flight")->Arg(1)->Arg(200);
BENCHMARK_CAPTURE(burst, accept, Half::accept)
    ->Name("relay/accept_32")
    ->ArgName("in_flight")
    ->Arg(32)
    ->Arg(200)
    ->UseManualTime();
BENCHMARK_CAPTURE(burst, answer, Half::answer)
    ->Name("relay/answer_32")
    ->ArgName("in_flight")
    ->Arg(32)
    ->Arg(200)
    ->UseManualTime();
BENCHMARK(next_timeout)->Name("relay/next_timeout")->ArgName("in_flight")->Arg(1)->Arg(200);

}  // namespace
}  // namespace dotrelay::bench
