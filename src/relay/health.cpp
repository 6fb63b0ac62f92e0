// See health.hpp.
#include "relay/health.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace dotrelay {
namespace {

constexpr std::uint8_t kMaxStep = 6;  // kFirstBackOff doubled that often exceeds kMaxBackOff

/// SharedHealth::verdict as fields.
struct Verdict {
  Trouble trouble = Trouble::none;
  std::uint8_t step = 0;  ///< of the back-off
  bool told = false;      ///< a log line has said so, and no answer has come since
  Health::Epoch epoch = 0;

  static constexpr unsigned kEpochBits = 24;
  static constexpr std::uint32_t kEpochMask = (1U << kEpochBits) - 1;

  static Verdict unpack(std::uint32_t word) {
    return {static_cast<Trouble>(word >> 28), static_cast<std::uint8_t>(word >> 25 & 7), (word >> 24 & 1) != 0,
            word & kEpochMask};
  }

  [[nodiscard]] std::uint32_t pack() const {
    return std::uint32_t{static_cast<std::uint8_t>(trouble)} << 28 | std::uint32_t{step} << 25 |
           std::uint32_t{told} << 24 | (epoch & kEpochMask);
  }
};

Verdict load(const SharedHealth& shared) { return Verdict::unpack(shared.verdict.load(std::memory_order_acquire)); }

/// Replaces the verdict by what change() makes of it, and returns what was there before. Others may change it
/// meanwhile; change() says whether it still applies.
template <class Change>
std::optional<Verdict> update(SharedHealth& shared, Change change) {
  std::uint32_t word = shared.verdict.load(std::memory_order_acquire);
  for (;;) {
    const Verdict before = Verdict::unpack(word);
    Verdict after = before;
    if (!change(after)) return std::nullopt;
    if (shared.verdict.compare_exchange_weak(word, after.pack(), std::memory_order_acq_rel)) return before;
  }
}

std::uint32_t milliseconds_of(TimePoint time) {
  return static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

void store_until(SharedHealth& shared, TimePoint time) {
  shared.until_ms.store(milliseconds_of(time), std::memory_order_release);
}

/// How far `until` is ahead. Nothing is ever further ahead than the longest time that is stored: what looks so is past.
Duration ahead(const SharedHealth& shared, TimePoint now) {
  constexpr auto kMost = std::max(Health::kMaxBackOff, Health::kSettlingTime) + std::chrono::milliseconds(1);
  const std::uint32_t difference = shared.until_ms.load(std::memory_order_acquire) - milliseconds_of(now);
  const Duration result = std::chrono::milliseconds(static_cast<std::int32_t>(difference));
  return result > kMost ? Duration{} : std::max(result, Duration{});
}

Duration back_off(Trouble trouble, std::uint8_t step) {
  // Without a route a dial costs one system call and says at once whether the route is back.
  if (trouble == Trouble::no_route) return Health::kFirstBackOff;
  const Duration first =
      trouble == Trouble::authentication ? Health::kFirstAuthenticationBackOff : Health::kFirstBackOff;
  return std::min(first * (1 << step), Health::kMaxBackOff);
}

bool is_degraded(Trouble trouble) { return trouble == Trouble::slow || trouble == Trouble::errors; }

std::string load_text(const SharedHealth& shared) {
  char text[sizeof shared.cause] = {};
  for (std::size_t i = 0; i < shared.cause.size(); ++i) {
    const std::uint32_t word = shared.cause[i].load(std::memory_order_relaxed);
    std::memcpy(text + i * sizeof word, &word, sizeof word);
  }
  return {text, strnlen(text, sizeof text)};
}

void store_text(SharedHealth& shared, std::string_view text) {
  char padded[sizeof shared.cause] = {};
  text.copy(padded, sizeof padded);
  for (std::size_t i = 0; i < shared.cause.size(); ++i) {
    std::uint32_t word = 0;
    std::memcpy(&word, padded + i * sizeof word, sizeof word);
    shared.cause[i].store(word, std::memory_order_relaxed);
  }
}

}  // namespace

Trouble trouble_of(CloseKind kind) {
  switch (kind) {
    case CloseKind::dropped:
      return Trouble::none;
    case CloseKind::closed_by_peer:
    case CloseKind::unreachable:
      return Trouble::unreachable;
    case CloseKind::silent:
      return Trouble::silent_path;
    case CloseKind::no_route:
      return Trouble::no_route;
    case CloseKind::timed_out:
      return Trouble::timed_out;
    case CloseKind::authentication:
      return Trouble::authentication;
    case CloseKind::tls:
      return Trouble::tls;
    case CloseKind::protocol:
      return Trouble::garbage;
  }
  return Trouble::none;
}

void copy_health(const SharedHealth& from, SharedHealth& to) {
  to.idle_close_ms.store(from.idle_close_ms.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.acknowledgement_delay.store(from.acknowledgement_delay.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.segment_limit.store(from.segment_limit.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.connection_limit.store(from.connection_limit.load(std::memory_order_relaxed), std::memory_order_relaxed);
  const Verdict verdict = load(from);
  if (verdict.trouble == Trouble::authentication) return;
  store_text(to, load_text(from));
  to.until_ms.store(from.until_ms.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.verdict.store(verdict.pack(), std::memory_order_release);
}

Health::Epoch Health::epoch() const { return load(shared_).epoch; }

Trouble Health::trouble() const { return load(shared_).trouble; }

bool Health::degraded() const { return is_degraded(trouble()); }

bool Health::hopeless() const {
  const Trouble kind = trouble();
  return kind == Trouble::authentication || kind == Trouble::no_route;
}

bool Health::settled(TimePoint now) const {
  const Verdict verdict = load(shared_);
  return verdict.trouble == Trouble::none && (verdict.epoch == 0 || ahead(shared_, now) == Duration{});
}

std::string Health::cause() const { return in_trouble() ? load_text(shared_) : std::string{}; }

bool Health::on_trouble(Trouble trouble, std::string_view cause, Epoch epoch, TimePoint now, Random& random) {
  const bool had_settled = settled(now);
  const bool same_words = load_text(shared_) == cause.substr(0, sizeof shared_.cause);
  TimePoint until = now;
  const std::optional<Verdict> before = update(shared_, [&](Verdict& verdict) {
    if (verdict.epoch != epoch) return false;
    const bool first_suspicion = trouble == Trouble::silent_path && verdict.trouble == Trouble::none;
    if (had_settled) {
      verdict.step = 0;
    } else if (verdict.trouble != Trouble::silent_path || trouble == Trouble::silent_path) {
      verdict.step = std::min<std::uint8_t>(static_cast<std::uint8_t>(verdict.step + 1), kMaxStep);
    }
    // Sessions that went silent: a fresh connection is tried at once. When that also went silent, it is the address.
    const bool sessions_only = first_suspicion && had_settled;
    verdict.trouble = trouble == Trouble::silent_path && !first_suspicion ? Trouble::timed_out : trouble;
    verdict.told = verdict.told || !first_suspicion;
    verdict.epoch = (verdict.epoch + 1) & Verdict::kEpochMask;
    if (verdict.epoch == 0) verdict.epoch = 1;  // 0: there was none yet
    // A quarter either way keeps many workers and many relays from trying in step.
    const std::uint32_t jitter = 768 + random.below(513);
    until = now;
    if (!sessions_only) until += std::min<Duration>(back_off(trouble, verdict.step) * jitter / 1024, kMaxBackOff);
    return true;
  });
  if (!before) return false;
  store_until(shared_, until);
  store_text(shared_, cause);
  return !before->told || !same_words;
}

bool Health::on_proof(Epoch epoch, TimePoint now) {
  const std::optional<Verdict> before = update(shared_, [&](Verdict& verdict) {
    if (verdict.trouble == Trouble::none && !verdict.told) return false;
    if (verdict.epoch != epoch && !is_degraded(verdict.trouble)) return false;
    verdict.trouble = Trouble::none;
    verdict.told = false;
    return true;
  });
  if (!before) return false;
  if (before->trouble != Trouble::none) store_until(shared_, now + kSettlingTime);
  return before->told;
}

bool Health::withdraw(Epoch epoch, TimePoint now) {
  const std::optional<Verdict> before = update(shared_, [&](Verdict& verdict) {
    if (verdict.epoch != epoch || verdict.trouble != Trouble::silent_path) return false;
    verdict.trouble = Trouble::none;
    if (verdict.step > 0) --verdict.step;
    return true;
  });
  if (!before) return false;
  // A step says that the address had not settled when the suspicion came.
  store_until(shared_, before->step > 0 ? now + kSettlingTime : now);
  return true;
}

bool Health::proven_since(TimePoint begun, TimePoint now) const {
  const Verdict verdict = load(shared_);
  if (verdict.trouble != Trouble::none || verdict.epoch == 0) return false;
  // It settles from its proof on.
  const Duration left = ahead(shared_, now);
  return left != Duration{} && now + left - kSettlingTime > begun;
}

bool Health::trial_due(TimePoint now) const { return in_trouble() && ahead(shared_, now) == Duration{}; }

TimePoint Health::next_trial(TimePoint now) const { return in_trouble() ? now + ahead(shared_, now) : kNever; }

void Health::claim_trial(TimePoint now) {
  const Verdict verdict = load(shared_);
  if (verdict.trouble != Trouble::none) store_until(shared_, now + back_off(verdict.trouble, verdict.step));
}

void Health::retry_now(TimePoint now) {
  const auto reset = update(shared_, [](Verdict& verdict) {
    verdict.step = 0;
    return verdict.trouble != Trouble::none;
  });
  if (reset && ahead(shared_, now) != Duration{}) store_until(shared_, now);
}

}  // namespace dotrelay
