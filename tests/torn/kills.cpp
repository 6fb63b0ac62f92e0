// See kills.hpp.
#include "kills.hpp"

#include "base/random.hpp"
#include "cache/cache_keeper.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

namespace dotrelay::torn {
namespace {

constexpr std::uint32_t kWorkers = 3;
constexpr std::uint32_t kQuestions = 60;
constexpr std::uint32_t kVersions = 64;
/// Seven segments, of which the workers write three: each is renewed thousands of times a second.
constexpr std::size_t kCacheBytes = std::size_t{64} << 10;
/// Between two kills, in microseconds.
constexpr std::uint32_t kLeastPause = 500;
constexpr std::uint32_t kMostPause = 6000;

/// In memory of its own beside the cache.
struct Totals {
  std::atomic<std::uint64_t> checked;
  std::atomic<std::uint64_t> wrong;
  std::atomic<std::uint64_t> puts;
};

/// From 30 octets to nearly the largest: long answers are the ones that are torn.
std::vector<std::size_t> sizes() {
  std::vector<std::size_t> octets(kQuestions);
  for (std::uint32_t i = 0; i < kQuestions; ++i) octets[i] = 30 + 65 * i;
  return octets;
}

[[noreturn]] void live(const CacheMemory& memory, std::uint32_t worker, std::uint32_t seed, Totals& totals) {
  AnswerCache cache(memory, worker, 0);
  Judge judge(sizes());
  Random random(seed);
  for (;;) {
    Tally tally;
    std::uint64_t puts = 0;
    for (int i = 0; i < 32; ++i) {
      const std::uint32_t question = random.below(kQuestions);
      judge.check(cache, question, tally);
      if (random.below(2) == 0) continue;
      judge.put(cache, question, random.below(kVersions));
      ++puts;
    }
    totals.checked += tally.checked;
    totals.wrong += tally.wrong;
    totals.puts += puts;
  }
}

pid_t start(const CacheMemory& memory, std::uint32_t worker, std::uint32_t seed, Totals& totals) {
  const pid_t child = fork();
  if (child == 0) live(memory, worker, seed, totals);
  if (child > 0) return child;
  std::perror("fork");
  std::exit(2);
}

void end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

}  // namespace

KillsResult kill_workers(std::uint32_t kills, std::uint32_t seed, bool until_wrong) {
  const CacheMemory memory = formatted(share(kCacheBytes));
  auto& totals = *new (share(sizeof(Totals)).data()) Totals{};
  CacheKeeper keeper(memory);
  AnswerCache reader(memory, kWorkers + 1, 0);
  Judge judge(sizes());
  Random random(seed);
  KillsResult result;

  std::array<pid_t, kWorkers> workers{};
  for (std::uint32_t i = 0; i < kWorkers; ++i) workers[i] = start(memory, i + 1, random.u32(), totals);
  while (result.kills < kills && !(until_wrong && totals.wrong + result.tally.wrong > 0)) {
    usleep(kLeastPause + random.below(kMostPause - kLeastPause));
    const std::uint32_t i = random.below(kWorkers);
    end(workers[i]);
    keeper.worker_ended(i + 1);
    judge.check_all(reader, result.tally);
    workers[i] = start(memory, i + 1, random.u32(), totals);
    ++result.kills;
  }
  for (const pid_t worker : workers) end(worker);
  result.tally.checked += totals.checked;
  result.tally.wrong += totals.wrong;
  result.puts = totals.puts;
  return result;
}

}  // namespace dotrelay::torn
