// The catalogue: all that the relay counts, each a row with its kind, its unit, its labels and its help. It says which
// cells there are (counters.hpp), what is logged and what an upgrade carries over.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dotrelay {

enum class MetricKind : std::uint8_t {
  counter,    ///< only grows
  gauge,      ///< rises and falls; of a worker that has ended nothing is left
  histogram,  ///< how many values fell into each bucket, and their sum: see observe()
};

enum class MetricUnit : std::uint8_t { count, octets, microseconds };

enum class MetricLabel : std::uint8_t {
  none,
  upstream,  ///< cells for each upstream, by its number in the configuration
};

/// Each bucket is twice as wide as the one before; in microseconds the last one begins at 8 s.
inline constexpr std::size_t kHistogramBuckets = 25;

constexpr std::size_t cells_of(MetricKind kind) { return kind == MetricKind::histogram ? kHistogramBuckets + 1 : 1; }

// clang-format off
/// In the order of the log. RELAY: without a label. UPSTREAM: MetricLabel::upstream.
#define DOTRELAY_METRICS(RELAY, UPSTREAM) \
  RELAY(queries_udp, counter, count, "Queries received over UDP") \
  RELAY(queries_tcp, counter, count, "Queries received over TCP") \
  RELAY(answers, counter, count, "Responses sent to clients, errors included") \
  RELAY(ignored, counter, count, "Messages that are no queries; they get no response") \
  RELAY(rejected, counter, count, "Queries answered FORMERR, NOTIMP, BADVERS or REFUSED by the relay itself") \
  RELAY(answered_locally, counter, count, "Queries for local names and zones, answered by the relay itself") \
  RELAY(cache_hits, counter, count, "Queries answered from the cache with an answer whose life is not over") \
  RELAY(cache_stale, counter, count, "Queries answered with a stale answer, because no upstream answered in time") \
  RELAY(cache_misses, counter, count, "Queries that the cache may answer and had no fresh answer to") \
  RELAY(cache_refreshes, counter, count, "Queries sent upstream to renew an answer before its end, or a stale one") \
  RELAY(cache_kept, counter, count, "Responses of upstreams that were kept") \
  RELAY(cache_unfit, counter, count, \
    "Responses of upstreams that were not kept: truncated, TTL 0, negative without SOA, or too large") \
  RELAY(denied, counter, count, "Datagrams and connections from sources that allow does not list") \
  RELAY(reflections, counter, count, "Datagrams from ports whose services answer anything; they get no response") \
  RELAY(errors_withheld, counter, count, \
    "Error responses over UDP withheld because their source's network got too many") \
  RELAY(shared, counter, count, "Queries that joined one already in flight") \
  RELAY(overloaded, counter, count, "Queries refused because a limit was reached") \
  RELAY(client_limited, counter, count, \
    "Queries refused because the client's address or network had its share of the relay") \
  RELAY(failed, counter, count, "Queries answered SERVFAIL because no upstream answered in time") \
  RELAY(upstream_queries, counter, count, "Queries sent to upstreams") \
  RELAY(upstream_hedged, counter, count, \
    "Queries also sent to the next upstream because the first was later than usual") \
  RELAY(upstream_trials, counter, count, \
    "Copies of queries sent to upstreams in trouble to see whether they work again") \
  RELAY(upstream_suspected, counter, count, "Connections whose octets were acknowledged later than on a living path") \
  RELAY(upstream_retired, counter, count, "Connections closed because too many of their queries were never answered") \
  RELAY(upstream_silent, counter, count, "Connections given up because the path to the upstream went silent") \
  RELAY(upstream_answers, counter, count, "Responses from upstreams that matched a query") \
  RELAY(upstream_errors, counter, count, \
    "Responses from upstreams with an RCODE that makes the relay ask the next one") \
  RELAY(upstream_mismatched, counter, count, "Frames from upstreams that matched no query") \
  RELAY(upstream_strayed, counter, count, \
    "Connections closed because too many frames in a short time matched no query") \
  RELAY(upstream_malformed, counter, count, \
    "Responses from upstreams that matched a query but were malformed; the next one is asked") \
  RELAY(upstream_without_edns, counter, count, \
    "Queries asked once more without EDNS, because the upstream refused it with") \
  RELAY(upstream_late, counter, count, "Responses from upstreams to queries that no client waited for any more") \
  RELAY(upstream_dials, counter, count, "Connections begun to upstreams") \
  UPSTREAM(upstream_handshakes, counter, count, "TLS handshakes completed") \
  UPSTREAM(upstream_resumptions, counter, count, "TLS handshakes that resumed a session") \
  RELAY(upstream_stalled_handshakes, counter, count, \
    "TLS handshakes that did not go on; another was begun with smaller TCP segments") \
  UPSTREAM(upstream_tickets_refused, counter, count, \
    "TLS handshakes that failed with a session ticket and were begun again without one") \
  UPSTREAM(upstream_tickets_unusable, counter, count, \
    "Connections ended by a session ticket that is too large; no more are asked for there") \
  RELAY(upstream_dial_failures, counter, count, "Connections to upstreams that failed before they were ready") \
  RELAY(upstream_limited, counter, count, \
    "Connections that an upstream refused while it served other workers of the relay") \
  RELAY(passed_to_sibling, counter, count, "Queries sent through another worker's connection") \
  RELAY(taken_from_sibling, counter, count, "Queries of other workers sent on a connection of this one") \
  RELAY(upstream_authentication_failures, counter, count, "TLS handshakes that failed because of the certificate") \
  RELAY(tcp_accepted, counter, count, "Client connections accepted") \
  RELAY(tcp_shed, counter, count, "Client connections closed to stay within a limit") \
  RELAY(tcp_timed_out, counter, count, "Client connections closed for idleness or a half-sent query") \
  RELAY(accept_pauses, counter, count, "Times that accepting paused for lack of descriptors") \
  RELAY(udp_unsent, counter, count, "Responses over UDP that the kernel did not take") \
  RELAY(log_lines_suppressed, counter, count, "Log lines left out because there were too many in a second") \
  RELAY(log_lines_lost, counter, count, "Log lines lost because standard error was not read, or full")
// clang-format on

/// Enumerators whose values are the first cells of the rows, and one behind the last cell.
#define DOTRELAY_CELLS(name, kind, unit, help) name, name##_last = name + cells_of(MetricKind::kind) - 1,
#define DOTRELAY_NO_CELLS(name, kind, unit, help)

/// The cells of rows without a label.
enum class Counter : std::uint16_t { DOTRELAY_METRICS(DOTRELAY_CELLS, DOTRELAY_NO_CELLS) count_ };

/// The cells that each upstream has.
enum class UpstreamCounter : std::uint16_t { DOTRELAY_METRICS(DOTRELAY_NO_CELLS, DOTRELAY_CELLS) count_ };

inline constexpr std::size_t kCounterCells = static_cast<std::size_t>(Counter::count_);
inline constexpr std::size_t kUpstreamCells = static_cast<std::size_t>(UpstreamCounter::count_);

struct MetricRow {
  std::string_view name;
  MetricKind kind;
  MetricUnit unit;
  MetricLabel label;
  std::size_t cell;  ///< its first one, among those without a label or among those of an upstream
  std::string_view help;
};

#define DOTRELAY_ROW(name, kind, unit, help)                                                                       \
  MetricRow{#name, MetricKind::kind, MetricUnit::unit, MetricLabel::none, static_cast<std::size_t>(Counter::name), \
            help},
#define DOTRELAY_UPSTREAM_ROW(name, kind, unit, help)        \
  MetricRow{#name,                                           \
            MetricKind::kind,                                \
            MetricUnit::unit,                                \
            MetricLabel::upstream,                           \
            static_cast<std::size_t>(UpstreamCounter::name), \
            help},

inline constexpr auto kMetricRows = std::to_array({DOTRELAY_METRICS(DOTRELAY_ROW, DOTRELAY_UPSTREAM_ROW)});

}  // namespace dotrelay
