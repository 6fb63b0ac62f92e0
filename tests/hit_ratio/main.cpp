// The command line: runs the real cache on a stream of questions and prints which share of them it answers, beside a
// cache without bound on the same stream. Fails when a size that should be enough for the load is not.
#include "caches.hpp"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string_view>

namespace {

using namespace dotrelay;
using namespace dotrelay::hit_ratio;

constexpr char kUsage[] =
    "usage: hit-ratio [LOAD [HOURS]]\n"
    "  LOAD   gateway, node or edge (default: all of them)\n"
    "  HOURS  of simulated time, of which the first quarter is not counted (default: 24)\n";

/// Of what a cache without bound answers.
constexpr double kGoal = 0.98;

struct Bound {
  const char* name;
  std::size_t bytes;
  std::string_view enough_for;
};

constexpr Bound kBounds[] = {
    {"256 KiB", std::size_t{256} << 10, "gateway"},
    {"1 MiB", std::size_t{1} << 20, "node"},
    {"16 MiB", std::size_t{16} << 20, "edge"},
};

/// The caches of one bound.
struct Compared {
  explicit Compared(std::size_t bytes) : shared(bytes, kWorkers) {
    for (std::uint32_t i = 0; i < kWorkers; ++i) split.emplace_back(bytes / kWorkers, 1);
  }

  BoundedCache shared;
  std::deque<BoundedCache> split;
  std::uint64_t shared_hits = 0;
  std::uint64_t split_hits = 0;
};

/// Whether each bound that is enough for the load reached the goal.
bool run(const Load& load, double hours) {
  Stream stream(load);
  EndlessCache endless(stream.questions());
  std::deque<Compared> compared;
  for (const Bound& bound : kBounds) compared.emplace_back(bound.bytes);
  std::uint64_t asked = 0;
  std::uint64_t hits = 0;
  std::uint32_t turn = 1;
  for (const Stream::Step* step = &stream.next(); step->seconds < hours * 3600; step = &stream.next()) {
    const bool counted = step->seconds > hours * 3600 / 4;
    const auto now = static_cast<std::uint32_t>(step->seconds);
    for (std::size_t i = 0; i < step->count; ++i) {
      const Asked& one = step->asked[i];
      turn = turn * 1664525 + 1013904223;  // which worker a packet meets follows from the client's port
      const std::uint32_t worker = turn >> 30;
      const std::uint32_t lifetime = one.question % 2 == 0 ? one.ttl_seconds : (one.ttl_seconds + 1) / 2;
      const bool hit = endless.ask(one, lifetime, now);
      asked += counted ? 1 : 0;
      hits += counted && hit ? 1 : 0;
      for (Compared& each : compared) {
        const bool shared_hit = each.shared.ask(one, lifetime, now, worker);
        const bool split_hit = each.split[worker].ask(one, lifetime, now, 0);
        each.shared_hits += counted && shared_hit ? 1 : 0;
        each.split_hits += counted && split_hit ? 1 : 0;
      }
    }
  }

  const auto percent = [&](std::uint64_t count) {
    return 100.0 * static_cast<double>(count) / static_cast<double>(asked);
  };
  std::printf("%s: %.0f questions a second, %.0f hours, seed %llu; without bound %.2f %% hits\n", load.name,
              load.questions_a_second, hours, static_cast<unsigned long long>(load.seed), percent(hits));
  bool reached = true;
  bool enough = false;
  for (std::size_t i = 0; i < compared.size(); ++i) {
    const double share = static_cast<double>(compared[i].shared_hits) / static_cast<double>(hits);
    enough = enough || kBounds[i].enough_for == load.name;
    reached = reached && (!enough || share >= kGoal);
    std::printf("  %8s: %.2f %% hits, %.2f %% of those without bound; 4 caches of a quarter: %.2f %% hits, %.2f %%\n",
                kBounds[i].name, percent(compared[i].shared_hits), 100 * share, percent(compared[i].split_hits),
                100 * static_cast<double>(compared[i].split_hits) / static_cast<double>(hits));
  }
  std::fflush(stdout);
  return reached;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : "";
  const double hours = argc > 2 ? std::strtod(argv[2], nullptr) : 24;
  bool reached = true;
  bool any = false;
  for (const Load& load : loads()) {
    if (!only.empty() && only != load.name) continue;
    any = true;
    reached = run(load, hours) && reached;
  }
  if (!any || hours <= 0 || argc > 3) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  return reached ? 0 : 1;
}
