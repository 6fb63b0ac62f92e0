// That the server of an address wants no more connections than the relay's workers have (RFC 7766 6.2.2 lets it), and
// when one more is tried: by one worker, at long intervals, and no query waits for it. What one worker learns, all
// know.
#pragma once

#include "base/clock.hpp"
#include "relay/shared_health.hpp"

#include <algorithm>

namespace dotrelay {

class ConnectionLimit {
 public:
  /// Between two trials; it doubles with each that fails.
  static constexpr Duration kFirstPause = std::chrono::seconds(10);
  static constexpr Duration kLongestPause = std::chrono::minutes(5);

  /// `shared` outlives this object.
  explicit ConnectionLimit(SharedHealth& shared) : shared_(shared) {}

  /// Forgotten when the trial has been due for so long that no query can have needed it.
  [[nodiscard]] bool known(TimePoint now) const {
    const Word word = load();
    return word.steps != 0 && overdue(word, now) < kLongestPause;
  }

  /// The server has refused a connection while it served others. True when that is new.
  bool learn(TimePoint now) {
    if (known(now)) return false;
    std::uint32_t before = shared_.connection_limit.load(std::memory_order_acquire);
    return shared_.connection_limit.compare_exchange_strong(before, Word{steps_of(now + kFirstPause), 0}.pack());
  }

  /// Takes the trial that is due. False: it is not, or another worker was faster.
  bool claim_trial(TimePoint now) {
    std::uint32_t before = shared_.connection_limit.load(std::memory_order_acquire);
    const Word word = Word::unpack(before);
    if (!known(now) || overdue(word, now) < Duration{}) return false;
    const unsigned doubled = std::min(word.doubled + 1, kMostDoubled);
    const Duration pause = std::min<Duration>(kFirstPause * (1 << doubled), kLongestPause);
    return shared_.connection_limit.compare_exchange_strong(before, Word{steps_of(now + pause), doubled}.pack());
  }

  /// A worker has got one more connection: perhaps there is room for the next.
  void on_success(TimePoint now) {
    if (!known(now)) return;
    shared_.connection_limit.store(Word{steps_of(now + kFirstPause), 0}.pack(), std::memory_order_release);
  }

  /// No worker has a connection any more: the server may have begun anew.
  void forget() { shared_.connection_limit.store(0, std::memory_order_release); }

 private:
  static constexpr Duration kStep = std::chrono::milliseconds(125);
  static constexpr unsigned kDoubledBits = 3;
  static constexpr unsigned kMostDoubled = 5;
  static constexpr std::uint32_t kStepsMask = (1U << (32 - kDoubledBits)) - 1;

  /// When the next trial is due (0: no limit is known), and how often the pause has doubled.
  struct Word {
    std::uint32_t steps = 0;
    unsigned doubled = 0;

    static Word unpack(std::uint32_t word) { return {word >> kDoubledBits, word & ((1U << kDoubledBits) - 1)}; }
    [[nodiscard]] std::uint32_t pack() const { return steps << kDoubledBits | doubled; }
  };

  [[nodiscard]] Word load() const { return Word::unpack(shared_.connection_limit.load(std::memory_order_acquire)); }

  [[nodiscard]] static std::uint32_t steps_of(TimePoint time) {
    return std::max(static_cast<std::uint32_t>(time.time_since_epoch() / kStep) & kStepsMask, std::uint32_t{1});
  }
  /// For how long the trial has been due; negative before. The steps come again after two years.
  [[nodiscard]] static Duration overdue(const Word& word, TimePoint now) {
    const auto difference = static_cast<std::int32_t>((steps_of(now) - word.steps) << kDoubledBits);
    return (difference >> kDoubledBits) * kStep;
  }

  SharedHealth& shared_;
};

}  // namespace dotrelay
