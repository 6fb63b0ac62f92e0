// One upstream resolver of the configuration, with what is known of it and its addresses. Plain data.
#pragma once

#include "base/address.hpp"
#include "base/clock.hpp"
#include "config/config.hpp"
#include "relay/acknowledgement_delay.hpp"
#include "relay/connection_limit.hpp"
#include "relay/edns_tolerance.hpp"
#include "relay/health.hpp"
#include "relay/idle_close.hpp"
#include "relay/pooled_connection.hpp"
#include "relay/recent_outcomes.hpp"
#include "relay/segment_limit.hpp"
#include "relay/urgent_dials.hpp"
#include "relay/usual_time.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace dotrelay {

struct UpstreamAddress {
  UpstreamAddress(const std::string& upstream, const Endpoint& endpoint, std::size_t number, SharedHealth& shared)
      : label(upstream + " (" + endpoint.to_text() + ")"),
        number(number),
        health(shared),
        idle_close(shared),
        acknowledgement_delay(shared),
        urgent_dials(shared),
        segments(shared),
        connection_limit(shared) {}

  /// A dial that takes longer makes queries look at the next upstream: well above what the server usually takes, and
  /// before that is known, above two round trips across a continent.
  [[nodiscard]] Duration slow_dial() const {
    constexpr Duration kUnknown = std::chrono::milliseconds(150);
    if (usual_dial == Duration{}) return kUnknown;
    return std::clamp<Duration>(usual_dial * 2 + std::chrono::milliseconds(50), std::chrono::milliseconds(100),
                                std::chrono::seconds(1));
  }

  void on_dialled(Duration took) { usual_dial = usual_dial == Duration{} ? took : (usual_dial * 3 + took) / 4; }

  std::string label;   ///< for log lines and EDE texts: "cloudflare (1.1.1.1:853)"
  std::size_t number;  ///< Config::address_number()
  Health health;
  IdleClose idle_close;
  AcknowledgementDelay acknowledgement_delay;
  UrgentDials urgent_dials;
  SegmentLimit segments;
  ConnectionLimit connection_limit;
  EdnsTolerance edns;
  RecentOutcomes late;    ///< answers that came too late, where another upstream had one
  RecentOutcomes errors;  ///< errors, where another upstream had an answer
  bool ever_ready = false;
  TimePoint no_more_until{};  ///< the server refused a further connection beside one that works
  TimePoint refused_until{};  ///< a dial was refused: until then a sibling's connection is used, or waited for
  TimePoint first_refusal{};  ///< when the first of such dials began that may show a limit
  TimePoint last_dial = TimePoint::min();
  TimePoint dial_spared_at{};  ///< when a suspicion of its path was withdrawn last
  TimePoint no_trial_until{};  ///< a copy of a query is under way as a trial
  Duration usual_dial{};       ///< from the dial to a ready connection; zero: not seen yet
  std::size_t dials = 0;       ///< connections that are not ready yet
};

struct Upstream {
  /// Connections opened in advance that no query used, before that stops.
  static constexpr std::uint8_t kMaxUnusedRenewals = 2;

  const UpstreamConfig* config = nullptr;
  std::vector<UpstreamAddress> addresses;
  std::vector<ConnectionHandle> connections;
  UsualTime usual_time;
  /// "NAME (ADDRESS): cause" of the latest connection that failed or left queries unanswered.
  std::string last_problem;
  TimePoint latest_ready{};  ///< when one of its connections became ready
  TimePoint last_query{};
  Duration usual_gap{};  ///< between queries; zero: not known yet

  void on_query(TimePoint now) {
    const Duration gap = now - last_query;
    if (last_query != TimePoint{}) usual_gap = usual_gap == Duration{} ? gap : (usual_gap * 3 + gap) / 4;
    last_query = now;
  }

  /// Whether another query is to be expected while a connection that is opened now lives, idle for at most `lifetime`.
  [[nodiscard]] bool expects_query(Duration lifetime, TimePoint now) const {
    return usual_gap != Duration{} && usual_gap < lifetime * 3 / 2 && now - last_query < lifetime * 2;
  }
};

}  // namespace dotrelay
