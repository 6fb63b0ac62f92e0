// See runner.hpp.
#include "runner.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sched.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace dotrelay::simulation {
namespace {

/// CPU time that no life needs.
constexpr long kMostSeconds = 20;
/// Every so many lives one is lived twice, to see that it is the same.
constexpr std::uint32_t kRepeatEvery = 50;
constexpr unsigned kMaxChildren = 64;

/// Where the children tell how far they are; in memory that all share.
struct Progress {
  std::atomic<std::uint32_t> seed;  ///< that is being lived
  Figures figures;
};
struct Shared {
  std::atomic<std::uint32_t> lowest_failed;  ///< relative to the first seed
  Progress children[kMaxChildren];
};

World* living = nullptr;
std::uint32_t living_seed = 0;

void tell_breach(std::uint32_t seed, const World& world, const char* invariant, const char* text) {
  std::printf("seed %u: %s\n  %s: %s\n", seed, seconds_text(world.now()).c_str(), invariant, text);
  std::printf("the last events (simulation 1 %u --trace shows all):\n", seed);
  world.transcript().print_last(stdout);
  std::fflush(stdout);
}

/// An assertion, a sanitizer or the time limit has ended the process.
void on_fatal_signal(int number) {
  if (living != nullptr) {
    tell_breach(living_seed, *living, "crash",
                number == SIGPROF ? "no end of it: the forwarder or the simulation turns in circles"
                                  : "the forwarder ended the process");
  }
  _exit(1);
}

void limit_time() {
  const itimerval limit{{0, 0}, {kMostSeconds, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

/// Lives it without a word; true when all was well.
bool live_quietly(std::uint32_t seed, const Options& options, Figures& figures) {
  limit_time();
  World world(seed, options.promise, nullptr);
  world.run();
  if (const auto& breach = world.breach()) {
    if (options.all) std::printf("seed %u: %s: %s\n", seed, breach->invariant.c_str(), breach->text.c_str());
    std::fflush(stdout);
    return false;
  }
  figures.add(world.figures());
  if (seed % kRepeatEvery != 0) return true;
  World again(seed, options.promise, nullptr);
  again.run();
  return again.transcript().hash() == world.transcript().hash();
}

/// A child's seeds: each step-th from `begin` on, relative to the first. Those before the lowest that failed are all
/// lived, so that it does not depend on the number of CPUs which one is told.
void live_share(Shared& shared, Progress& progress, const Options& options, std::uint32_t begin, std::uint32_t step) {
  for (std::uint32_t i = begin; i < options.count && (options.all || i < shared.lowest_failed); i += step) {
    progress.seed = i;
    if (live_quietly(options.first + i, options, progress.figures)) continue;
    std::uint32_t lowest = shared.lowest_failed;
    while (i < lowest && !shared.lowest_failed.compare_exchange_weak(lowest, i)) {
    }
  }
}

unsigned cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp<unsigned>(static_cast<unsigned>(CPU_COUNT(&set)), 1, kMaxChildren);
}

void print_summary(std::uint32_t count, const Figures& figures) {
  std::printf(
      "%u seeds passed: %llu queries, %llu answered, %llu failed by upstream faults (while some upstream was "
      "well: 0 of %llu), %llu dials, %llu hedged, %llu silent paths, %llu passed to siblings, %llu in lives with "
      "zones, %llu h of "
      "virtual time\n",
      count, static_cast<unsigned long long>(figures.queries), static_cast<unsigned long long>(figures.answered),
      static_cast<unsigned long long>(figures.errors), static_cast<unsigned long long>(figures.promised),
      static_cast<unsigned long long>(figures.dials), static_cast<unsigned long long>(figures.hedged),
      static_cast<unsigned long long>(figures.silent), static_cast<unsigned long long>(figures.passed),
      static_cast<unsigned long long>(figures.in_zones),
      static_cast<unsigned long long>(figures.virtual_seconds / 3600));
}

}  // namespace

int live_one(const Options& options) {
  for (const int number : {SIGABRT, SIGSEGV, SIGPROF}) std::signal(number, on_fatal_signal);
  limit_time();
  const std::uint32_t seed = options.first;
  World world(seed, options.promise, options.trace ? stdout : nullptr);
  living = &world;
  living_seed = seed;
  world.run();
  living = nullptr;
  if (const auto& breach = world.breach()) {
    tell_breach(seed, world, breach->invariant.c_str(), breach->text.c_str());
    return 1;
  }
  World again(seed, options.promise, nullptr);
  again.run();
  if (again.transcript().hash() != world.transcript().hash()) {
    std::printf("seed %u: determinism: lived twice, it is not the same life\n", seed);
    return 1;
  }
  print_summary(1, world.figures());
  return 0;
}

int live_many(const Options& options) {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto& shared = *new (memory) Shared{};
  shared.lowest_failed = options.count;
  const unsigned step = std::min<unsigned>(cpus(), options.count);
  std::vector<pid_t> children;
  for (unsigned i = 0; i < step; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      live_share(shared, shared.children[i], options, i, step);
      _exit(0);
    }
    children.push_back(child);
  }
  std::uint32_t failed = options.count;
  Figures figures;
  for (unsigned i = 0; i < step; ++i) {
    int status = 0;
    // Without a child (fork failed) its seeds were not lived either.
    if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0) {
      failed = std::min<std::uint32_t>(failed, shared.children[i].seed);
    }
    figures.add(shared.children[i].figures);
  }
  failed = std::min<std::uint32_t>(failed, shared.lowest_failed);
  munmap(memory, sizeof(Shared));
  if (failed == options.count) {
    print_summary(options.count, figures);
    return 0;
  }
  if (options.all) return 1;
  Options again = options;
  again.first += failed;
  if (live_one(again) == 0) std::printf("seed %u: failed the first time only\n", again.first);
  return 1;
}

}  // namespace dotrelay::simulation
