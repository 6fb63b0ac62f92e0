// Which workers of the relay have a connection to an upstream address, and since when: how a worker that cannot get one
// knows whether the server is down, or serves the others and wants no more connections. It lies in memory that the
// workers share (see shared_health.hpp); each writes its own words, and the supervisor clears those of one that died.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/shared_word.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dotrelay {

/// What one worker has of one address. Times are in steps of SharedConnections::kStep; 0: none.
struct WorkerConnections {
  SharedWord ready_since;     ///< the oldest of its own connections that take queries
  SharedWord dialling_since;  ///< the oldest of its dials under way
};

class SharedConnections {
 public:
  /// 32 bits of these are two years: no connection lives that long.
  static constexpr Duration kStep = std::chrono::milliseconds(16);
  /// Dials of several workers that begin within this time are one event: which of them the server takes is chance.
  static constexpr Duration kTogether = std::chrono::milliseconds(48);

  /// A worker without siblings.
  SharedConnections() = default;
  /// `all`: of each worker, the entries of its addresses. `worker` is the own number less one. `all` outlives this.
  SharedConnections(std::span<WorkerConnections> all, std::size_t worker, std::size_t workers)
      : all_(all), worker_(worker), workers_(workers), addresses_(all.size() / workers) {}

  [[nodiscard]] bool alone() const { return workers_ < 2; }

  /// What this worker has now: kNever for none.
  void publish(std::size_t address, TimePoint ready_since, TimePoint dialling_since) {
    if (alone()) return;
    WorkerConnections& own = of(worker_, address);
    own.ready_since.store(word_of(ready_since), std::memory_order_release);
    own.dialling_since.store(word_of(dialling_since), std::memory_order_release);
  }

  /// This worker's connections are lent no more until it publishes again.
  void withhold(std::size_t address) {
    if (!alone()) of(worker_, address).ready_since.store(0, std::memory_order_release);
  }

  /// What a dial that began at `begun` and has failed says of the server.
  enum class Verdict : std::uint8_t {
    down,     ///< no sibling has a connection
    unknown,  ///< one got a connection since, or dials, and did so not later than this worker
    limited,  ///< one had a connection already and still has
  };
  [[nodiscard]] Verdict judge(std::size_t address, TimePoint begun) const {
    Verdict verdict = Verdict::down;
    for_siblings([&](std::size_t worker) {
      const WorkerConnections& sibling = of(worker, address);
      if (const std::uint32_t since = sibling.ready_since.load(std::memory_order_acquire); since != 0) {
        verdict = std::max(verdict, later(word_of(begun), since) ? Verdict::limited : Verdict::unknown);
      } else if (const std::uint32_t dials = sibling.dialling_since.load(std::memory_order_acquire); dials != 0) {
        if (!later(dials, word_of(begun + kTogether))) verdict = std::max(verdict, Verdict::unknown);
      }
    });
    return verdict;
  }

  [[nodiscard]] bool sibling_ready(std::size_t address) const {
    bool ready = false;
    for_siblings([&](std::size_t worker) { ready = ready || is_ready(worker, address); });
    return ready;
  }

  /// Whether a sibling has a dial under way that began after `since`.
  [[nodiscard]] bool sibling_dials(std::size_t address, TimePoint since = TimePoint::min()) const {
    bool dials = false;
    for_siblings([&](std::size_t worker) {
      const std::uint32_t begun = of(worker, address).dialling_since.load(std::memory_order_acquire);
      dials = dials || (begun != 0 && (since == TimePoint::min() || later(begun, word_of(since))));
    });
    return dials;
  }

  /// The number less one of a sibling that has a connection and that `suits`; the own number when there is none. It
  /// begins to look at a sibling drawn at random, so that each gets its share.
  template <class Suits>
  [[nodiscard]] std::size_t ready_sibling(std::size_t address, Random& random, Suits suits) const {
    if (alone()) return worker_;
    const std::size_t first = random.below(static_cast<std::uint32_t>(workers_));
    for (std::size_t i = 0; i < workers_; ++i) {
      const std::size_t worker = (first + i) % workers_;
      if (worker != worker_ && is_ready(worker, address) && suits(worker)) return worker;
    }
    return worker_;
  }

  [[nodiscard]] std::size_t worker() const { return worker_; }

 private:
  [[nodiscard]] WorkerConnections& of(std::size_t worker, std::size_t address) const {
    return all_[worker * addresses_ + address];
  }
  [[nodiscard]] bool is_ready(std::size_t worker, std::size_t address) const {
    return of(worker, address).ready_since.load(std::memory_order_acquire) != 0;
  }
  template <class Visit>
  void for_siblings(Visit visit) const {
    for (std::size_t worker = 0; worker < workers_; ++worker) {
      if (worker != worker_) visit(worker);
    }
  }

  [[nodiscard]] static std::uint32_t word_of(TimePoint time) {
    if (time == kNever) return 0;
    return std::max(static_cast<std::uint32_t>(time.time_since_epoch() / kStep), std::uint32_t{1});
  }
  [[nodiscard]] static bool later(std::uint32_t left, std::uint32_t right) {
    return static_cast<std::int32_t>(left - right) > 0;
  }

  std::span<WorkerConnections> all_;
  std::size_t worker_ = 0;
  std::size_t workers_ = 1;
  std::size_t addresses_ = 0;
};

}  // namespace dotrelay
