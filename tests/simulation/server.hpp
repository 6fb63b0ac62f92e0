// What an upstream resolver does with its connections: it answers, late or wrongly or not at all, closes them when they
// are idle or have had their share, and goes through the faults of its plan.
#pragma once

#include "network.hpp"

namespace dotrelay::simulation {

class Servers {
 public:
  /// The references outlive the servers.
  Servers(const Plan& plan, Timeline& timeline, Transcript& transcript, Checker& checker, Random& random,
          Network& network);

 private:
  void on_query(Line& line, std::size_t query);
  void begin_phase(std::size_t upstream, std::size_t address, const Phase& phase);
  void watch_idle(Line& line);
  void answer(Line& line, std::size_t query);
  bool misbehave(Line& line, std::size_t query);
  void send(Line& line, std::size_t query, Octets frame, unsigned rcode);
  [[nodiscard]] Duration thinking_time(Question question);

  const Plan& plan_;
  Timeline& timeline_;
  Transcript& transcript_;
  Checker& checker_;
  Random& random_;
  Network& network_;
};

}  // namespace dotrelay::simulation
