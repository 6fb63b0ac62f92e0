// Everything that is decided about a world before it begins: the relay's configuration, the hosts and when each of them
// is in which kind of trouble, what befalls the machine, how clients ask. All of it follows from the seed. Because the
// faults are known in advance, a message's fate is known when it leaves, and afterwards it can be said which upstreams
// were well.
#pragma once

#include "config/config.hpp"
#include "timeline.hpp"
#include "wire.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace dotrelay::simulation {

// Each row: a fault's name, its words.
// clang-format off
#define DOTRELAY_FAULTS(FAULT) \
  FAULT(blackhole, "blackhole") \
  FAULT(refuse, "refused dials") \
  FAULT(no_route, "no route") \
  FAULT(wrong_certificate, "wrong certificate") \
  FAULT(broken_tls, "broken TLS") \
  FAULT(slow_dials, "slow dials") \
  FAULT(slow_handshakes, "slow TLS handshakes") \
  FAULT(down, "down: connections reset, dials refused") \
  FAULT(one_connection, "no second connection") \
  FAULT(mute, "mute") \
  FAULT(slow_answers, "slow answers") \
  FAULT(servfail, "SERVFAIL") \
  FAULT(refused, "REFUSED") \
  FAULT(bare_errors, "header-only errors") \
  FAULT(malformed_answers, "malformed answers") \
  FAULT(domain_errors, "errors for one domain") \
  FAULT(garbage, "garbage") \
  FAULT(empty_frames, "empty frames") \
  FAULT(stale_answers, "stale answers") \
  FAULT(mismatches, "mismatched answers") \
  FAULT(duplicates, "duplicate answers") \
  FAULT(reset_on_query, "reset on query") \
  FAULT(close_on_query, "FIN on query") \
  FAULT(stop_reading, "not reading") \
  FAULT(lossy, "lossy") \
  FAULT(late_acknowledgements, "delayed acknowledgements") \
  FAULT(bloat, "round trips of a second") \
  FAULT(connections_die, "connections die silently") \
  FAULT(restart, "restart without FIN") \
  FAULT(reset_all, "reset of all connections") \
  FAULT(close_all, "FIN of all connections")
// clang-format on

enum class Fault : std::uint8_t {
#define DOTRELAY_FAULT_NAME(name, words) name,
  DOTRELAY_FAULTS(DOTRELAY_FAULT_NAME)
#undef DOTRELAY_FAULT_NAME
      count_
};

std::string_view name_of(Fault fault);

/// A fault and its time. Those from connections_die on are instants.
struct Phase {
  Fault fault = Fault::blackhole;
  TimePoint from;
  TimePoint until;
};

struct HostPlan {
  Duration round_trip{};
  Duration jitter{};
  Duration handshake_work{};  ///< of the server, for each connection
  Duration idle_close{};      ///< zero: never
  unsigned close_after = 0;   ///< queries on one connection; 0: no limit
  double loss = 0;
  bool coalesces = false;         ///< what arrives within a few milliseconds arrives together
  std::size_t places = 0;         ///< connections that the server takes, of all workers together; 0: no limit
  bool silent_when_full = false;  ///< those beyond get no answer to their handshake; else they are closed
  bool places_are_good = true;    ///< nothing befalls the connections that hold the places
  std::vector<Phase> phases;

  [[nodiscard]] bool has(Fault fault, TimePoint at) const;
  /// When the fault that is active at `at` ends; `at` when it is not active.
  [[nodiscard]] TimePoint end_of(Fault fault, TimePoint at) const;
};

/// How clients ask for a while.
struct Traffic {
  TimePoint from;
  TimePoint until;
  Duration mean_gap{};
  unsigned burst = 1;         ///< queries at once
  unsigned names = 200;       ///< different ones
  bool unanswerable = false;  ///< none of them has an answer; all from one client
};

struct Sleep {
  std::size_t worker = 0;
  TimePoint from;
  TimePoint until;
};

struct Plan {
  explicit Plan(std::uint32_t seed);

  /// The upstreams that may see a question, the first that works before the others.
  [[nodiscard]] const std::vector<std::size_t>& order_of(Question question) const {
    return orders[domain_of(question)];
  }

  Config config;
  std::vector<std::vector<std::size_t>> orders;  ///< of each domain, by the zones
  bool has_zones = false;
  std::size_t workers = 1;
  std::vector<std::vector<HostPlan>> hosts;  ///< of each upstream, by address
  std::vector<Traffic> traffic;
  std::vector<TimePoint> network_changes;
  std::vector<TimePoint> suspends;
  std::vector<Sleep> sleeps;
  TimePoint end;  ///< of the questions; by then all faults are over
  bool timers_first = false;
};

}  // namespace dotrelay::simulation
