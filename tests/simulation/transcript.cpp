// See transcript.hpp.
#include "transcript.hpp"

#include "plan.hpp"
#include "timeline.hpp"

#include <algorithm>
#include <string_view>

namespace dotrelay::simulation {
namespace {

constexpr std::string_view kWords[] = {
#define DOTRELAY_HAPPENING_WORDS(name, words) words,
    DOTRELAY_HAPPENINGS(DOTRELAY_HAPPENING_WORDS)
#undef DOTRELAY_HAPPENING_WORDS
};

bool names_fault(Happening what) {
  return what == Happening::fault_begins || what == Happening::fault_ends || what == Happening::misbehaves;
}

}  // namespace

std::string seconds_text(TimePoint at) {
  const auto count = std::chrono::duration_cast<microseconds>(at - kBirth).count();
  char text[32];
  std::snprintf(text, sizeof text, "%3lld.%06lld", static_cast<long long>(count / 1'000'000),
                static_cast<long long>(count % 1'000'000));
  return text;
}

void Transcript::add(TimePoint at, Happening what, std::size_t worker, std::uint64_t a, std::uint64_t b,
                     std::uint64_t c, std::uint64_t d) {
  const Event event{at,
                    what,
                    static_cast<std::uint8_t>(worker),
                    {static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(c),
                     static_cast<std::uint32_t>(d)}};
  const auto mix = [&](std::uint64_t word) { hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15 ^ hash_ >> 29; };
  mix(static_cast<std::uint64_t>(at.time_since_epoch().count()));
  mix(static_cast<std::uint64_t>(what) << 8 | event.worker);
  mix(a << 32 ^ b);
  mix(c << 32 ^ d);
  last_[count_++ % kKept] = event;
  if (trace_ != nullptr) {
    std::fprintf(trace_, "%s\n", in_words(event).c_str());
    std::fflush(trace_);  // the forwarder's log lines come in between
  }
}

void Transcript::print_last(std::FILE* file) const {
  for (std::uint64_t i = count_ - std::min<std::uint64_t>(count_, kKept); i < count_; ++i) {
    std::fprintf(file, "%s\n", in_words(last_[i % kKept]).c_str());
  }
}

std::string Transcript::in_words(const Event& event) {
  std::string text = seconds_text(event.at) + "  ";
  const std::string_view words = kWords[static_cast<std::size_t>(event.what)];
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] != '%') {
      text += words[i];
      continue;
    }
    const char which = words[++i];
    if (which == 'w') {
      text += std::to_string(event.worker);
    } else if (which == 'c' && names_fault(event.what)) {
      text += name_of(static_cast<Fault>(event.numbers[2]));
    } else {
      text += std::to_string(event.numbers[static_cast<std::size_t>(which - 'a')]);
    }
  }
  return text;
}

}  // namespace dotrelay::simulation
