// See service.hpp.
#include "service.hpp"

#include <algorithm>

namespace dotrelay::simulation {
namespace {

/// What a server says for so long after a fault may still be its result: it was delayed on the way.
constexpr Duration kAftermath = milliseconds(300);

constexpr unsigned kEnoughForAll = 40;

bool overlaps(const Phase& phase, TimePoint from, TimePoint until) {
  return phase.from <= until && phase.until + kAftermath >= from;
}

/// Built to be well. One that closes after some queries is only when a connection's share is more than what may be
/// under way: else it cannot be promised that a query's turn comes.
bool is_sound(const HostPlan& host) {
  return host.round_trip <= milliseconds(80) && host.jitter <= milliseconds(10) && host.loss == 0 &&
         (host.places == 0 || host.places_are_good) && (host.close_after == 0 || host.close_after >= kEnoughForAll) &&
         (host.idle_close == Duration{} || host.idle_close >= seconds(1));
}

bool is_well(const HostPlan& host, TimePoint from, TimePoint until) {
  return is_sound(host) &&
         std::ranges::none_of(host.phases, [&](const Phase& phase) { return overlaps(phase, from, until); });
}

/// Faults that show themselves: no query gets through. (Errors do not: an upstream that answers with them is usable,
/// and the others keep their back-off.)
bool is_clean(Fault fault) {
  switch (fault) {
    case Fault::blackhole:
    case Fault::refuse:
    case Fault::no_route:
    case Fault::wrong_certificate:
    case Fault::broken_tls:
    case Fault::slow_dials:
    case Fault::slow_handshakes:
    case Fault::down:
    case Fault::one_connection:
    case Fault::connections_die:
    case Fault::restart:
    case Fault::reset_all:
    case Fault::close_all:
      return true;
    default:
      return false;
  }
}

/// It may take queries, and lose or delay them.
bool may_swallow(const HostPlan& host, TimePoint from, TimePoint until) {
  const bool shares_little = host.close_after != 0 && host.close_after < kEnoughForAll;
  const bool delays = host.round_trip > seconds(1);
  return host.loss > 0 || delays || shares_little || !host.places_are_good ||
         std::ranges::any_of(
             host.phases, [&](const Phase& phase) { return !is_clean(phase.fault) && overlaps(phase, from, until); });
}

/// Upstreams that may answer with an error: two that do so are the last word, by the RCODE policy.
bool may_err(const std::vector<HostPlan>& upstream, TimePoint from, TimePoint until) {
  return std::ranges::any_of(upstream, [&](const HostPlan& host) {
    return std::ranges::any_of(host.phases, [&](const Phase& phase) {
      const bool errs = phase.fault == Fault::servfail || phase.fault == Fault::refused ||
                        phase.fault == Fault::bare_errors || phase.fault == Fault::malformed_answers ||
                        phase.fault == Fault::domain_errors;
      return errs && phase.from <= until && phase.until + seconds(5) >= from;
    });
  });
}

}  // namespace

bool first_is_well(const Plan& plan, TimePoint now) {
  // One that takes few connections may be passed over for want of them.
  const auto limited = [](const HostPlan& host) { return host.places > 0; };
  for (const std::vector<HostPlan>& hosts : plan.hosts) {
    if (std::ranges::any_of(hosts, limited)) return false;
  }
  return plan.config.relay.slow >= milliseconds(400) && std::ranges::all_of(plan.hosts[0], [&](const HostPlan& host) {
           return is_well(host, now - 2 * kRecovery, now);
         });
}

bool is_flooded(const Plan& plan, TimePoint now) {
  return std::ranges::any_of(plan.traffic, [&](const Traffic& traffic) {
    return traffic.unanswerable && traffic.from <= now && now <= traffic.until + seconds(10);
  });
}

std::optional<std::size_t> well_upstream(const Plan& plan, Promise promise, const std::vector<std::size_t>& upstreams,
                                         TimePoint asked_at, TimePoint now) {
  const auto crowds = [&](const Traffic& traffic) {
    const bool many = traffic.burst > kEnoughForAll / 2 || traffic.unanswerable;
    return many && traffic.from <= now && traffic.until + seconds(1) >= asked_at;
  };
  const bool crowded = std::ranges::any_of(plan.traffic, crowds);
  const auto errs = [&](std::size_t upstream) { return may_err(plan.hosts[upstream], asked_at, now); };
  if (std::ranges::count_if(upstreams, errs) >= 2) return std::nullopt;
  const auto swallows = [&](const HostPlan& host) { return may_swallow(host, asked_at - seconds(1), now); };
  const auto hang = [&](std::size_t upstream) { return std::ranges::any_of(plan.hosts[upstream], swallows); };
  const bool hangs = std::ranges::any_of(upstreams, hang);
  if (plan.config.relay.deadline < (hangs ? seconds(3) : seconds(2))) return std::nullopt;
  // Three that hang, and one of them so far away that it is waited for longer than the others: no time is left.
  const auto is_far = [&](std::size_t upstream) {
    return std::ranges::any_of(plan.hosts[upstream], [](const HostPlan& host) { return host.round_trip > seconds(1); });
  };
  if (std::ranges::any_of(upstreams, is_far) && std::ranges::count_if(upstreams, hang) >= 3) return std::nullopt;
  const auto well = [&](const HostPlan& host) {
    const bool distrusted = std::ranges::any_of(host.phases, [&](const Phase& phase) {
      return phase.fault == Fault::wrong_certificate && overlaps(phase, asked_at - kRecovery, now);
    });
    if (crowded && host.close_after != 0) return false;
    return is_well(host, asked_at - (hangs || distrusted ? kRecovery : kUrgentRecovery), now);
  };
  const auto harmless = [&](const HostPlan& host) {
    return promise == Promise::addresses || well(host) || !swallows(host);
  };
  for (const std::size_t i : upstreams) {
    const std::vector<HostPlan>& hosts = plan.hosts[i];
    if (!errs(i) && std::ranges::any_of(hosts, well) && std::ranges::all_of(hosts, harmless)) return i;
  }
  return std::nullopt;
}

}  // namespace dotrelay::simulation
