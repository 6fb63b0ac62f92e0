// See plan.hpp.
#include "plan.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <string>

namespace dotrelay::simulation {
namespace {

constexpr std::string_view kFaultWords[] = {
#define DOTRELAY_FAULT_WORDS(name, words) words,
    DOTRELAY_FAULTS(DOTRELAY_FAULT_WORDS)
#undef DOTRELAY_FAULT_WORDS
};

/// Draws what a plan is made of.
class Planner {
 public:
  explicit Planner(std::uint32_t seed);

  [[nodiscard]] bool chance(unsigned percent) { return random_.below(100) < percent; }
  [[nodiscard]] std::uint32_t between(std::uint32_t least, std::uint32_t most) {
    return least + random_.below(most - least + 1);
  }
  [[nodiscard]] Duration time(Duration least, Duration most) {
    const auto span = std::chrono::duration_cast<microseconds>(most - least).count();
    return least + microseconds(random_.below(static_cast<std::uint32_t>(span) + 1));
  }
  template <class T>
  [[nodiscard]] T one_of(std::initializer_list<T> values) {
    return values.begin()[random_.below(static_cast<std::uint32_t>(values.size()))];
  }

  Config config();
  HostPlan host();
  void add_zones(Plan& plan);
  Phase phase(TimePoint end);
  std::vector<Traffic> traffic(TimePoint end);

 private:
  Random random_;
  std::vector<Fault> faults_;
};

/// Each world has a few kinds of faults, so that some meet often which seldom would among all ("Swarm Testing", ISSTA
/// 2012).
Planner::Planner(std::uint32_t seed) : random_(seed) {
  for (std::uint32_t kinds = between(1, 8); kinds > 0; --kinds) {
    faults_.push_back(static_cast<Fault>(random_.below(static_cast<std::uint32_t>(Fault::count_))));
  }
}

Config Planner::config() {
  Config config;
  const std::uint32_t upstreams = one_of({1U, 2U, 2U, 2U, 3U, 3U, 4U});
  for (std::uint32_t i = 1; i <= upstreams; ++i) {
    UpstreamConfig& upstream = config.upstreams.emplace_back();
    upstream.name = "up" + std::to_string(i - 1);
    upstream.tls_name = "dns.example";
    const std::uint32_t addresses = one_of({1U, 1U, 2U, 2U, 3U});
    for (std::uint32_t j = 0; j < addresses; ++j) {
      Endpoint endpoint{{}, 853};
      endpoint.address.octets = {192, 0, static_cast<std::uint8_t>(i - 1), static_cast<std::uint8_t>(j)};
      upstream.addresses.push_back(endpoint);
    }
  }
  config.relay.deadline = chance(60) ? Duration(seconds(4)) : time(milliseconds(500), seconds(6));
  config.relay.slow = chance(50) ? Duration(milliseconds(400)) : time(milliseconds(50), seconds(2));
  config.relay.hedge = one_of({0.0, 0.02, 0.05, 0.05, 0.1, 0.5, 1.0});
  return config;
}

/// Domains that some upstreams serve in an order of their own, and upstreams that serve nothing else.
void Planner::add_zones(Plan& plan) {
  std::vector<UpstreamConfig>& upstreams = plan.config.upstreams;
  const auto count = static_cast<std::uint32_t>(upstreams.size());
  const std::uint32_t common = random_.below(count);
  for (std::uint32_t i = 0; i < count; ++i) upstreams[i].zone_only = i != common && chance(30);
  std::vector<std::size_t> order;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!upstreams[i].zone_only) order.push_back(i);
  }
  plan.orders.assign(kDomains, order);
  for (std::uint32_t left = between(1, 3), domain = 0; left > 0; --left) {
    order.clear();
    for (std::uint32_t wanted = between(1, count); wanted > 0; --wanted) {
      const std::size_t upstream = random_.below(count);
      if (std::ranges::find(order, upstream) == order.end()) order.push_back(upstream);
    }
    ZoneConfig& zone = plan.config.zones.emplace_back();
    for (const std::size_t upstream : order) zone.upstreams.push_back({upstreams[upstream].name, {}});
    for (std::uint32_t names = between(1, 3); names > 0; --names, ++domain) {
      zone.names.push_back({"d" + std::to_string(domain) + ".sim", {}});
      plan.orders[domain] = order;
    }
  }
}

HostPlan Planner::host() {
  HostPlan host;
  host.round_trip = chance(80)   ? time(milliseconds(1), milliseconds(60))
                    : chance(75) ? time(milliseconds(60), milliseconds(300))
                                 : time(milliseconds(300), milliseconds(2200));
  host.jitter = chance(70) ? time(microseconds(10), milliseconds(3)) : time(milliseconds(3), milliseconds(40));
  host.handshake_work = time(microseconds(500), milliseconds(15));
  if (chance(60)) host.idle_close = chance(20) ? time(milliseconds(300), seconds(1)) : time(seconds(1), seconds(20));
  if (chance(15)) host.close_after = between(1, 100);
  if (chance(15)) host.loss = between(1, 30) / 1000.0;
  host.coalesces = chance(40);
  return host;
}

Phase Planner::phase(TimePoint end) {
  const Fault fault = faults_[random_.below(static_cast<std::uint32_t>(faults_.size()))];
  const TimePoint from = kBirth + time(Duration{}, end - kBirth - milliseconds(200));
  if (fault >= Fault::connections_die) return {fault, from, from};
  const Duration length = chance(40) ? time(milliseconds(20), seconds(1)) : time(seconds(1), seconds(15));
  return {fault, chance(10) ? kBirth : from, std::min(end, from + length)};
}

std::vector<Traffic> Planner::traffic(TimePoint end) {
  std::vector<Traffic> all;
  for (TimePoint at = kBirth; at < end;) {
    Traffic part{at, std::min(end, at + time(seconds(1), seconds(12))), milliseconds(50), 1, 400};
    part.names = one_of({3U, 40U, 400U, 4000U});
    switch (between(0, 5)) {
      case 4:
        if (chance(12)) {  // a client whose names no upstream can answer: it fills connections with given-up queries
          part.mean_gap = time(milliseconds(2), milliseconds(10));
          part.names = 4000;
          part.unanswerable = true;
          break;
        }
        part.mean_gap = time(milliseconds(500), seconds(6));
        break;
      case 0:
      case 1:  // steady
        part.mean_gap = time(milliseconds(20), milliseconds(200));
        break;
      case 2:  // busy for a moment
        part.mean_gap = time(milliseconds(3), milliseconds(20));
        part.until = std::min(part.until, at + seconds(1));
        break;
      case 3:  // bursts, as of a browser
        part.mean_gap = time(milliseconds(400), seconds(3));
        part.burst = chance(4) ? between(100, 400) : between(2, 25);
        break;
      default:  // now and then one
        part.mean_gap = time(milliseconds(500), seconds(6));
        break;
    }
    all.push_back(part);
    at = part.until;
  }
  return all;
}

}  // namespace

std::string_view name_of(Fault fault) {
  return fault < Fault::count_ ? kFaultWords[static_cast<std::size_t>(fault)] : "something else";
}

bool HostPlan::has(Fault fault, TimePoint at) const { return end_of(fault, at) != at; }

TimePoint HostPlan::end_of(Fault fault, TimePoint at) const {
  TimePoint end = at;
  for (bool longer = true; longer;) {
    longer = false;
    for (const Phase& phase : phases) {
      if (phase.fault != fault || end < phase.from || end >= phase.until) continue;
      end = phase.until;
      longer = true;
    }
  }
  return end;
}

Plan::Plan(std::uint32_t seed) {
  Planner planner(seed);
  config = planner.config();
  workers = planner.one_of<std::size_t>({1, 1, 2, 3, 4});
  end = kBirth + (planner.chance(70) ? planner.time(seconds(4), seconds(16)) : planner.time(seconds(16), seconds(45)));
  timers_first = planner.chance(50);
  const bool quiet = planner.chance(10);
  for (const UpstreamConfig& upstream : config.upstreams) {
    std::vector<HostPlan>& addresses = hosts.emplace_back();
    for (std::size_t j = 0; j < upstream.addresses.size(); ++j) {
      HostPlan& host = addresses.emplace_back(planner.host());
      if (quiet || planner.chance(50)) continue;
      const std::uint32_t count = planner.between(1, 3);
      for (std::uint32_t k = 0; k < count; ++k) host.phases.push_back(planner.phase(end));
    }
  }
  // Whole upstreams fail, too.
  for (std::uint32_t left = quiet ? 0 : planner.between(0, 4); left > 0; --left) {
    const Phase phase = planner.phase(end);
    std::vector<HostPlan>& hit = hosts[planner.between(0, static_cast<std::uint32_t>(hosts.size()) - 1)];
    for (HostPlan& host : hit) host.phases.push_back(phase);
  }
  traffic = planner.traffic(end);
  const auto some_time = [&] { return kBirth + planner.time(Duration{}, end - kBirth); };
  if (planner.chance(20)) network_changes.push_back(some_time());
  if (planner.chance(20)) network_changes.push_back(some_time());
  if (planner.chance(10)) suspends.push_back(some_time());
  if (planner.chance(15)) {
    const TimePoint from = some_time();
    const Duration length =
        planner.chance(50) ? planner.time(milliseconds(100), seconds(3)) : planner.time(seconds(2), seconds(12));
    sleeps.push_back({planner.between(0, static_cast<std::uint32_t>(workers) - 1), from, from + length});
  }
  orders.assign(kDomains, {});
  for (std::vector<std::size_t>& order : orders) {
    for (std::size_t i = 0; i < config.upstreams.size(); ++i) order.push_back(i);
  }
  // From chance of its own, as the limits below, so that lives without zones stay what they were.
  Planner zones(seed + 0x7f4a7c15U);
  has_zones = zones.chance(25);
  if (has_zones) zones.add_zones(*this);
  // A worker that sleeps would keep its place, and nothing could be done about it.
  Planner limits(seed + 0x9e3779b9U);
  if (workers < 2 || !sleeps.empty() || !limits.chance(25)) return;
  for (HostPlan& host : hosts[limits.between(0, static_cast<std::uint32_t>(hosts.size()) - 1)]) {
    // Where connections end after a few queries, none is old enough to show a limit.
    if (host.close_after != 0) continue;
    host.places = limits.between(1, static_cast<std::uint32_t>(workers) - 1);
    host.silent_when_full = limits.chance(30);
    const bool flooded = std::ranges::any_of(traffic, &Traffic::unanswerable);
    host.places_are_good = host.phases.empty() && network_changes.empty() && suspends.empty() && !flooded;
  }
}

}  // namespace dotrelay::simulation
