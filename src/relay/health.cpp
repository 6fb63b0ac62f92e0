// See health.hpp.
#include "relay/health.hpp"

#include <algorithm>
#include <cstring>

namespace dotrelay {
namespace {

constexpr std::uint8_t kMaxStep = 6;  // kFirstBackOff doubled that often exceeds kMaxBackOff

/// SharedHealth::verdict as fields: 8 bits kind, 7 bits step, 1 bit told, 48 bits time.
struct Verdict {
  Trouble trouble = Trouble::none;
  std::uint8_t step = 0;  ///< of the back-off
  bool told = false;      ///< a log line has said so, and no answer has come since
  TimePoint until{};      ///< in trouble: the next trial. Without: when the address has settled

  static Verdict unpack(std::uint64_t word) {
    return {static_cast<Trouble>(word >> 56), static_cast<std::uint8_t>((word >> 49) & 0x7f), (word >> 48 & 1) != 0,
            TimePoint(std::chrono::milliseconds(static_cast<std::int64_t>(word & 0xffffffffffff)))};
  }

  [[nodiscard]] std::uint64_t pack() const {
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(until.time_since_epoch()).count();
    return std::uint64_t{static_cast<std::uint8_t>(trouble)} << 56 | std::uint64_t{step} << 49 |
           std::uint64_t{told} << 48 | (static_cast<std::uint64_t>(milliseconds) & 0xffffffffffff);
  }
};

Verdict load(const SharedHealth& shared) { return Verdict::unpack(shared.verdict.load(std::memory_order_acquire)); }

/// Replaces the verdict by what change() makes of it, and returns what was there before. Others may change it
/// meanwhile.
template <class Change>
Verdict update(SharedHealth& shared, Change change) {
  std::uint64_t word = shared.verdict.load(std::memory_order_acquire);
  for (;;) {
    const Verdict before = Verdict::unpack(word);
    Verdict after = before;
    change(after);
    if (shared.verdict.compare_exchange_weak(word, after.pack(), std::memory_order_acq_rel)) return before;
  }
}

Duration back_off(Trouble trouble, std::uint8_t step) {
  // Without a route a dial costs one system call and says at once whether the route is back.
  if (trouble == Trouble::no_route) return Health::kFirstBackOff;
  const Duration first =
      trouble == Trouble::authentication ? Health::kFirstAuthenticationBackOff : Health::kFirstBackOff;
  return std::min(first * (1 << step), Health::kMaxBackOff);
}

std::string load_text(const SharedHealth& shared) {
  char text[sizeof shared.cause] = {};
  for (std::size_t i = 0; i < shared.cause.size(); ++i) {
    const std::uint64_t word = shared.cause[i].load(std::memory_order_relaxed);
    std::memcpy(text + i * sizeof word, &word, sizeof word);
  }
  return {text, strnlen(text, sizeof text)};
}

void store_text(SharedHealth& shared, std::string_view text) {
  char padded[sizeof shared.cause] = {};
  text.copy(padded, sizeof padded);
  for (std::size_t i = 0; i < shared.cause.size(); ++i) {
    std::uint64_t word = 0;
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
  const Verdict verdict = load(from);
  if (verdict.trouble == Trouble::authentication) return;
  store_text(to, load_text(from));
  to.verdict.store(verdict.pack(), std::memory_order_release);
}

Trouble Health::trouble() const { return load(shared_).trouble; }

bool Health::degraded() const {
  const Trouble kind = trouble();
  return kind == Trouble::slow || kind == Trouble::errors;
}

bool Health::hopeless() const {
  const Trouble kind = trouble();
  return kind == Trouble::authentication || kind == Trouble::no_route;
}

bool Health::settled(TimePoint now) const {
  const Verdict verdict = load(shared_);
  return verdict.trouble == Trouble::none && verdict.until <= now;
}

std::string Health::cause() const { return in_trouble() ? load_text(shared_) : std::string{}; }

bool Health::on_trouble(Trouble trouble, std::string_view cause, TimePoint now, Random& random) {
  const bool same_words = load_text(shared_) == cause.substr(0, sizeof shared_.cause);
  store_text(shared_, cause);
  // A quarter either way keeps many workers and many relays from trying in step.
  const std::uint32_t jitter = 768 + random.below(513);
  const Verdict before = update(shared_, [&](Verdict& verdict) {
    const bool had_settled = verdict.trouble == Trouble::none && verdict.until <= now;
    const bool first_suspicion = trouble == Trouble::silent_path && verdict.trouble == Trouble::none;
    if (had_settled) {
      verdict.step = 0;
    } else if (verdict.trouble != Trouble::silent_path || trouble == Trouble::silent_path) {
      verdict.step = std::min<std::uint8_t>(static_cast<std::uint8_t>(verdict.step + 1), kMaxStep);
    }
    // Sessions that went silent: a fresh connection is tried at once. When that went silent, too, it is the address.
    const bool sessions_only = first_suspicion && had_settled;
    verdict.trouble = trouble == Trouble::silent_path && !first_suspicion ? Trouble::timed_out : trouble;
    verdict.until = sessions_only ? now : now + back_off(trouble, verdict.step) * jitter / 1024;
    verdict.told = verdict.told || !first_suspicion;
  });
  return !before.told || !same_words;
}

bool Health::on_proof(TimePoint now) {
  if (!in_trouble() && !load(shared_).told) return false;
  const Verdict before = update(shared_, [&](Verdict& verdict) {
    if (verdict.trouble != Trouble::none) verdict.until = now + kSettlingTime;
    verdict.trouble = Trouble::none;
    verdict.told = false;
  });
  return before.told;
}

bool Health::trial_due(TimePoint now) const {
  const Verdict verdict = load(shared_);
  return verdict.trouble != Trouble::none && verdict.until <= now;
}

TimePoint Health::next_trial() const {
  const Verdict verdict = load(shared_);
  return verdict.trouble == Trouble::none ? kNever : verdict.until;
}

void Health::claim_trial(TimePoint now) {
  update(shared_, [&](Verdict& verdict) {
    if (verdict.trouble != Trouble::none) verdict.until = now + back_off(verdict.trouble, verdict.step);
  });
}

void Health::retry_now(TimePoint now) {
  update(shared_, [&](Verdict& verdict) {
    if (verdict.trouble == Trouble::none) return;
    verdict.until = std::min(verdict.until, now);
    verdict.step = 0;
  });
}

}  // namespace dotrelay
