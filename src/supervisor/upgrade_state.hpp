// What a supervisor leaves to the program that it executes in its place, as text in a memfd: descriptors, workers,
// counters. Old and new are of different versions, so the text has a version of its own: a line's meaning never
// changes, and lines that are unknown are skipped.
#pragma once

#include "base/address.hpp"
#include "base/result.hpp"
#include "supervisor/generation.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dotrelay {

struct UpgradeState {
  /// What check --handover=VERSION asks of a program.
  static constexpr int kVersion = 1;

  struct Listener {
    Endpoint address;
    std::uint32_t worker = 0;
    int udp = -1;
    int tcp = -1;

    friend bool operator==(const Listener&, const Listener&) = default;
  };

  /// Of the generation that serves; versions that know no mailboxes write and read no such line.
  struct WorkerMailbox {
    std::uint32_t worker = 0;
    int reading = -1;
    int writing = -1;

    friend bool operator==(const WorkerMailbox&, const WorkerMailbox&) = default;
  };

  struct Workers {
    int shared = -1;  ///< the SharedState; -1: none
    std::vector<Generation::RunningWorker> running = {};
    std::vector<Endpoint> holds = {};  ///< addresses of listeners that retiring workers may still have open
    int cache = -1;                    ///< the SharedCache; -1: none
  };

  std::string program;  ///< the path to upgrade from
  int config = -1;
  std::vector<Listener> listeners;
  std::vector<WorkerMailbox> mailboxes = {};
  std::vector<Workers> generations;  ///< the first one serves, the others retire
  Totals counters;                   ///< of workers that have ended

  [[nodiscard]] std::string to_text() const;
  static Result<UpgradeState> from_text(std::string_view text);

  /// All that are to survive exec.
  [[nodiscard]] std::vector<int> descriptors() const;
};

}  // namespace dotrelay
