// What the tools of src/base cost where the way of a query uses them: the byte queues around TLS and the wheel of
// checks.
#include "base/byte_queue.hpp"
#include "base/due_wheel.hpp"
#include "base/random.hpp"
#include "base/slab.hpp"
#include "measuring.hpp"
#include "samples.hpp"

#include <vector>

namespace dotrelay::bench {
namespace {

/// The octets that a busy connection collects in a turn, and that go all at once.
void byte_queue_append_all_clear(benchmark::State& state) {
  const Octets frame = frames(1, kUpstreamQuery);
  ByteQueue queue;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBurst; ++i) queue.append(frame);
    benchmark::DoNotOptimize(queue.bytes().data());
    queue.clear();
  }
  check(queue.empty(), "a queue is empty once it was cleared");
  count_items(state, kBurst);
}

/// The octets that come at once and go one message after the other.
void byte_queue_append_consume_each(benchmark::State& state) {
  const Octets run = frames(kBurst, kPaddedAnswer);
  ByteQueue queue;
  for (auto _ : state) {
    queue.append(run);
    while (!queue.empty()) {
      benchmark::DoNotOptimize(queue.bytes().data());
      queue.consume(run.size() / kBurst);
    }
  }
  count_items(state, kBurst);
}

/// As decryption does for each record: room for the largest, of which little is used.
void byte_queue_extend_trim(benchmark::State& state) {
  constexpr std::size_t kRoom = 16384;
  ByteQueue queue;
  for (auto _ : state) {
    const MutableBytes room = queue.extend(kRoom);
    benchmark::DoNotOptimize(room.data());
    queue.trim(kRoom - kPaddedAnswer);
    queue.clear();
  }
  count_items(state);
}

struct Item {
  DueHook<Item> hook;
};

struct Wheel {
  explicit Wheel(std::size_t live) : handles(live) {
    for (Handle<Item>& handle : handles) wheel.add(handle = items.emplace(), due(), now);
  }

  /// Queries begin all the time, so their checks are spread over the wheel.
  TimePoint due() { return now + std::chrono::milliseconds(random.below(1000)); }

  const TimePoint now{std::chrono::hours(1)};
  Random random{1};
  Slab<Item> items;
  DueWheel<Item, &Item::hook> wheel{items};
  std::vector<Handle<Item>> handles;
};

void due_wheel_remove_add(benchmark::State& state) {
  const auto live = static_cast<std::size_t>(state.range(0));
  Wheel wheel(live);
  std::size_t at = 0;
  for (auto _ : state) {
    wheel.wheel.remove(wheel.handles[at]);
    wheel.wheel.add(wheel.handles[at], wheel.due(), wheel.now);
    if (++at == live) at = 0;
  }
  for (const Handle<Item> handle : wheel.handles) {
    check(wheel.wheel.contains(handle), "what was added to the wheel is in it");
  }
  count_items(state);
}

/// Asked at the end of each turn of the loop.
void due_wheel_next(benchmark::State& state) {
  Wheel wheel(static_cast<std::size_t>(state.range(0)));
  check(wheel.wheel.next() >= wheel.now, "nothing on the wheel is overdue");
  for (auto _ : state) benchmark::DoNotOptimize(wheel.wheel.next());
  count_items(state);
}

BENCHMARK(byte_queue_append_all_clear)->Name("base/byte_queue_append_32_clear");
BENCHMARK(byte_queue_append_consume_each)->Name("base/byte_queue_append_consume_32");
BENCHMARK(byte_queue_extend_trim)->Name("base/byte_queue_extend_16384_trim");
BENCHMARK(due_wheel_remove_add)->Name("base/due_wheel_remove_add")->ArgName("live")->Arg(1)->Arg(200)->Arg(4000);
BENCHMARK(due_wheel_next)->Name("base/due_wheel_next")->ArgName("live")->Arg(1)->Arg(200);

}  // namespace
}  // namespace dotrelay::bench
