// See steps.hpp.
#include "steps.hpp"

#include "cache/cache_keeper.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dotrelay::torn {
namespace {

constexpr std::size_t kCacheBytes = kMinCacheBytes;
constexpr std::size_t kDataOctets = 500;
/// As many as the cache's three segments hold, and a few that are not yet in it.
constexpr std::uint32_t kFilled = 3 * (8192 / 608);
constexpr std::uint32_t kQuestions = kFilled + 4;
/// One death in so many is followed by that of a second worker, which is looked at after every kSecondStride
/// instructions. Prime, so that the places differ from one to the next.
constexpr std::uint32_t kSecondEvery = 11;
constexpr std::uint32_t kSecondStride = 37;

enum Worker : std::uint32_t { filler = 1, first, second, third, reader };

/// The two questions whose answers a worker puts.
struct Puts {
  std::uint32_t questions[2];
  std::uint32_t version;
};

/// A child that stops after each instruction of its puts.
class SteppedWorker {
 public:
  SteppedWorker(const CacheMemory& memory, std::uint32_t number, const Puts& puts, Judge& judge) {
    for (const std::uint32_t question : puts.questions) judge.sample(question, puts.version);
    child_ = fork();
    if (child_ < 0) {
      std::perror("fork");
      std::exit(2);
    }
    if (child_ == 0) live(memory, number, puts, judge);
    int status = 0;
    waitpid(child_, &status, 0);
    traced_ = WIFSTOPPED(status);
  }
  ~SteppedWorker() {
    if (ended_) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  SteppedWorker(const SteppedWorker&) = delete;
  SteppedWorker& operator=(const SteppedWorker&) = delete;

  [[nodiscard]] bool traced() const { return traced_; }

  /// Runs `count` instructions; false when the worker has come to its end.
  bool step(std::uint32_t count) {
    for (; count > 0; --count) {
      int status = 0;
      if (ptrace(PTRACE_SINGLESTEP, child_, nullptr, nullptr) != 0) return false;
      waitpid(child_, &status, 0);
      ended_ = !WIFSTOPPED(status);
      if (ended_) return false;
    }
    return true;
  }

 private:
  [[noreturn]] static void live(const CacheMemory& memory, std::uint32_t number, const Puts& puts, Judge& judge) {
    AnswerCache cache(memory, number, 0);
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(3);
    raise(SIGSTOP);
    for (const std::uint32_t question : puts.questions) judge.put(cache, question, puts.version);
    _exit(0);
  }

  pid_t child_;
  bool traced_ = false;
  bool ended_ = false;
};

/// The memories of the first worker, of the second, and of the third.
class Stages {
 public:
  explicit Stages(bool asked) {
    for (MutableBytes& memory : memories_) memory = share(kCacheBytes);
    formatted(memories_[0]);
    AnswerCache cache(attach(0), Worker::filler, 0);
    Tally tally;
    for (std::uint32_t question = 0; question < kFilled; ++question) {
      judge_.put(cache, question, 0);
      // Some stay when the segment is renewed.
      if (asked && question % 3 == 1) judge_.check(cache, question, tally);
    }
    CacheKeeper(attach(0)).worker_ended(Worker::filler);
  }

  void run(std::uint32_t stride, StepsResult& result) {
    SteppedWorker worker(attach(0), Worker::first, {{kFilled, 3}, 1}, judge_);
    result.permitted = worker.traced();
    if (!result.permitted) return;
    for (std::uint32_t death = 0; !result.done() && worker.step(stride); ++death) {
      result.instructions += stride;
      bury(0, Worker::first, result);
      if (death % kSecondEvery == 0) second_life(death / kSecondEvery, result);
    }
  }

 private:
  [[nodiscard]] CacheMemory attach(std::size_t stage) const { return *CacheMemory::attach(memories_[stage]); }

  void check(std::size_t stage, StepsResult& result) {
    judge_.check_all(AnswerCache(attach(stage), Worker::reader, 0), result.tally);
  }

  /// Copies the memory of a worker to the next stage, as it is when the worker dies.
  void bury(std::size_t stage, std::uint32_t worker, StepsResult& result) {
    std::ranges::copy(memories_[stage], memories_[stage + 1].begin());
    check(stage + 1, result);
    CacheKeeper(attach(stage + 1)).worker_ended(worker);
    check(stage + 1, result);
    ++result.deaths;
  }

  /// The second worker takes the segment that the first one had, and answers the questions that stood at its beginning.
  void second_life(std::uint32_t number, StepsResult& result) {
    attach(1).cursor().store(0);
    SteppedWorker worker(attach(1), Worker::second, {{0, 1}, 2}, judge_);
    if (!worker.step(1 + number % kSecondStride)) return;
    do {
      bury(1, Worker::second, result);
      AnswerCache cache(attach(2), Worker::third, 0);
      for (std::uint32_t i = 0; i < 20; ++i) judge_.put(cache, 2 * i, 3);
      check(2, result);
    } while (!result.done() && worker.step(kSecondStride));
  }

  MutableBytes memories_[3];
  Judge judge_{std::vector<std::size_t>(kQuestions, kDataOctets)};
};

}  // namespace

StepsResult single_step(std::uint32_t stride, bool until_wrong) {
  StepsResult result;
  result.until_wrong = until_wrong;
  for (const bool asked : {false, true}) {
    if (result.permitted && !result.done()) Stages(asked).run(stride, result);
  }
  return result;
}

}  // namespace dotrelay::torn
