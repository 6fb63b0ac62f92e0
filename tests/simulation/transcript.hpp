// What happened in one life, as numbers: cheap to write down, put in words only to be read. The last events
// are kept, all go into a hash, and --trace prints each as it happens.
#pragma once

#include "base/clock.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace dotrelay::simulation {

// Each row: the name of a happening and its words, with %w the worker and %a to %d its numbers.
// clang-format off
#define DOTRELAY_HAPPENINGS(HAPPENING) \
  HAPPENING(asks, "client %a asks worker %w for n%b type %c") \
  HAPPENING(told_at_once, "client %a is told rcode %b at once") \
  HAPPENING(told, "client %a of worker %w is told rcode %b") \
  HAPPENING(dials, "worker %w dials %a/%b: line %c") \
  HAPPENING(is_ready, "line %a is ready") \
  HAPPENING(sends, "line %a carries n%b type %c as id %d") \
  HAPPENING(takes_nothing, "line %a takes no more queries") \
  HAPPENING(arrives, "line %a: the server reads query %b") \
  HAPPENING(answers, "line %a: the server sends rcode %c for query %b") \
  HAPPENING(misbehaves, "line %a: the server sends something wrong (%c) for query %b") \
  HAPPENING(reads, "line %a: the relay reads a frame of %b octets") \
  HAPPENING(ends, "line %a ends, close kind %b") \
  HAPPENING(is_dropped, "line %a is destroyed by the relay") \
  HAPPENING(looks, "line %a: the relay looks at the path, silent: %b") \
  HAPPENING(wakes, "worker %w: timer") \
  HAPPENING(fault_begins, "fault %c begins at %a/%b") \
  HAPPENING(fault_ends, "fault %c ends at %a/%b") \
  HAPPENING(network_changes, "the network changes; %a lines have another route") \
  HAPPENING(falls_asleep, "worker %w sleeps for %a ms") \
  HAPPENING(wakes_up, "worker %w is awake again") \
  HAPPENING(suspends, "the machine was suspended") \
  HAPPENING(life_ends, "no more questions")
// clang-format on

enum class Happening : std::uint8_t {
#define DOTRELAY_HAPPENING_NAME(name, words) name,
  DOTRELAY_HAPPENINGS(DOTRELAY_HAPPENING_NAME)
#undef DOTRELAY_HAPPENING_NAME
};

class Transcript {
 public:
  static constexpr std::size_t kKept = 40;

  /// `trace`: where each event is printed, or nullptr.
  explicit Transcript(std::FILE* trace) : trace_(trace) {}

  void add(TimePoint at, Happening what, std::size_t worker, std::uint64_t a = 0, std::uint64_t b = 0,
           std::uint64_t c = 0, std::uint64_t d = 0);

  /// Of all events so far.
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  /// The last kKept events, oldest first.
  void print_last(std::FILE* file) const;

 private:
  struct Event {
    TimePoint at;
    Happening what = Happening::asks;
    std::uint8_t worker = 0;
    std::array<std::uint32_t, 4> numbers{};
  };

  static std::string in_words(const Event& event);

  std::FILE* trace_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::uint64_t count_ = 0;
  std::array<Event, kKept> last_{};
};

/// "12.345678", seconds since the birth of the world.
std::string seconds_text(TimePoint at);

}  // namespace dotrelay::simulation
