// See stream.hpp.
#include "stream.hpp"

#include <algorithm>
#include <cmath>

namespace dotrelay::hit_ratio {
namespace {

constexpr Load kLoads[] = {
    {"gateway", 1, 3, 20'000, 1.0, 0.08, 0.06},
    {"node", 2, 300, 4'000, 1.05, 0.05, 0.15},
    {"edge", 3, 2'000, 300'000, 0.91, 0.12, 0.08},
};

constexpr double kAskedRecently = 0.35;
constexpr double kWithAaaa = 0.75;
constexpr double kWithHttps = 0.15;
/// A step asks so many questions on average: the shares above.
constexpr double kQuestionsAStep = 1.9;

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

struct Share {
  double up_to;
  std::uint32_t value;
};

std::uint32_t pick(std::span<const Share> shares, double chance) {
  for (const Share& share : shares) {
    if (chance < share.up_to) return share.value;
  }
  return shares.back().value;
}

constexpr Share kTtls[] = {{0.1, 20}, {0.35, 60}, {0.45, 120}, {0.8, 300}, {0.88, 600}, {0.97, 3600}, {1, 86400}};
constexpr Share kNegativeTtls[] = {{0.5, 60}, {0.8, 300}, {1, 900}};
/// Without the padding that upstreams add. Half of them have less than 115 octets, and the average is 137.
constexpr Share kMessages[] = {{0.2, 70}, {0.4, 95}, {0.6, 115}, {0.8, 150}, {0.95, 220}, {1, 350}};

}  // namespace

std::span<const Load> loads() { return kLoads; }

Stream::Stream(const Load& load) : load_(load), state_(mixed(load.seed)), shares_(load.names) {
  double sum = 0;
  for (std::uint32_t i = 0; i < load.names; ++i) shares_[i] = sum += std::pow(i + 1.0, -load.exponent);
  for (double& share : shares_) share /= sum;
}

std::uint64_t Stream::random() { return mixed(state_ += 0x9e3779b97f4a7c15); }

double Stream::chance() { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

std::uint32_t Stream::draw_name() {
  if (!recent_.empty() && chance() < kAskedRecently) return recent_[random() % recent_.size()];
  const auto at = std::ranges::lower_bound(shares_, chance());
  const auto name = static_cast<std::uint32_t>(std::min<std::ptrdiff_t>(at - shares_.begin(), load_.names - 1));
  if (recent_.size() < kRecent) {
    recent_.push_back(name);
  } else {
    recent_[random() % kRecent] = name;
  }
  return name;
}

Asked Stream::asked(std::uint64_t question, bool once) const {
  const std::uint64_t about = mixed(question * 2 + (once ? 1 : 0) + load_.seed * 0x9e3779b97f4a7c15);
  const auto part = [&](int shift) { return static_cast<double>(about >> shift & 0xfffff) / 0x100000; };
  const bool negative = part(0) < load_.negative;
  return {.question = question,
          .once = once,
          .message_octets = pick(kMessages, part(20)),
          .ttl_seconds = negative ? pick(kNegativeTtls, part(40)) : pick(kTtls, part(40))};
}

void Stream::add(std::uint64_t question, bool once) { step_.asked[step_.count++] = asked(question, once); }

const Stream::Step& Stream::next() {
  step_.seconds -= std::log(1 - chance()) * kQuestionsAStep / load_.questions_a_second;
  step_.count = 0;
  if (chance() < load_.asked_once) {
    add(once_++, true);
    add(once_++, true);
    return step_;
  }
  const std::uint64_t first = std::uint64_t{draw_name()} * kTypes;
  add(first, false);
  if (chance() < kWithAaaa) add(first + 1, false);
  if (chance() < kWithHttps) add(first + 2, false);
  return step_;
}

}  // namespace dotrelay::hit_ratio
