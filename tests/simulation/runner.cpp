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
bool live_quietly(std::uint32_t seed, Promise promise, Figures& figures) {
  limit_time();
  World world(seed, promise, nullptr);
  world.run();
  if (world.breach()) return false;
  figures.add(world.figures());
  if (seed % kRepeatEvery != 0) return true;
  World again(seed, promise, nullptr);
  again.run();
  return again.transcript().hash() == world.transcript().hash();
}

void live_share(Shared& shared, Progress& progress, std::uint32_t first, std::uint32_t count, std::uint32_t begin,
                std::uint32_t step, Promise promise) {
  Figures figures;
  for (std::uint32_t i = begin; i < count && i < shared.lowest_failed; i += step) {
    progress.seed = i;
    if (live_quietly(first + i, promise, figures)) continue;
    std::uint32_t lowest = shared.lowest_failed;
    while (i < lowest && !shared.lowest_failed.compare_exchange_weak(lowest, i)) {
    }
    break;
  }
  progress.figures = figures;
}

unsigned cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp<unsigned>(static_cast<unsigned>(CPU_COUNT(&set)), 1, kMaxChildren);
}

void print_summary(std::uint32_t count, const Figures& figures) {
  std::printf(
      "%u seeds passed: %llu queries, %llu answered, %llu failed by upstream faults (while some upstream was "
      "well: 0 of %llu), %llu dials, %llu hedged, %llu silent paths, %llu h of virtual time\n",
      count, static_cast<unsigned long long>(figures.queries), static_cast<unsigned long long>(figures.answered),
      static_cast<unsigned long long>(figures.errors), static_cast<unsigned long long>(figures.promised),
      static_cast<unsigned long long>(figures.dials), static_cast<unsigned long long>(figures.hedged),
      static_cast<unsigned long long>(figures.silent), static_cast<unsigned long long>(figures.virtual_seconds / 3600));
}

}  // namespace

int live_one(std::uint32_t seed, Promise promise, bool trace) {
  for (const int number : {SIGABRT, SIGSEGV, SIGPROF}) std::signal(number, on_fatal_signal);
  limit_time();
  World world(seed, promise, trace ? stdout : nullptr);
  living = &world;
  living_seed = seed;
  world.run();
  living = nullptr;
  if (world.breach()) {
    tell_breach(seed, world, world.breach()->invariant.c_str(), world.breach()->text.c_str());
    return 1;
  }
  World again(seed, promise, nullptr);
  again.run();
  if (again.transcript().hash() != world.transcript().hash()) {
    std::printf("seed %u: determinism: lived twice, it is not the same life\n", seed);
    return 1;
  }
  print_summary(1, world.figures());
  return 0;
}

int live_many(std::uint32_t first, std::uint32_t count, Promise promise) {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto& shared = *new (memory) Shared{};
  shared.lowest_failed = count;
  const unsigned step = std::min<unsigned>(cpus(), count);
  std::vector<pid_t> children;
  for (unsigned i = 0; i < step; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      live_share(shared, shared.children[i], first, count, i, step, promise);
      _exit(0);
    }
    children.push_back(child);
  }
  std::uint32_t failed = count;
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
  if (failed == count) {
    print_summary(count, figures);
    return 0;
  }
  if (live_one(first + failed, promise, false) == 0)
    std::printf("seed %u: failed the first time only\n", first + failed);
  return 1;
}

}  // namespace dotrelay::simulation
