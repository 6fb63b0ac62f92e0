// The catalogue of counters: each is one row that gives its name and help. A worker counts into its own slot of the
// shared memory, where the supervisor reads; only the worker writes, so no counter needs a locked instruction.
#pragma once

#include "base/shared_word.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace dotrelay {

// clang-format off
#define DOTRELAY_COUNTERS(COUNT) \
  COUNT(queries_udp, "Queries received over UDP") \
  COUNT(queries_tcp, "Queries received over TCP") \
  COUNT(answers, "Answers sent to clients, errors included") \
  COUNT(ignored, "Messages that are no queries; answered with silence") \
  COUNT(rejected, "Queries answered FORMERR, NOTIMP, BADVERS or REFUSED by the relay itself") \
  COUNT(answered_locally, "Queries for special names, answered by the relay itself") \
  COUNT(denied, "Datagrams and connections from sources that allow does not list") \
  COUNT(reflections, "Datagrams from ports whose services answer anything; answered with silence") \
  COUNT(errors_withheld, "Error answers over UDP withheld because their source's network got too many") \
  COUNT(shared, "Queries that joined one already in flight") \
  COUNT(overloaded, "Queries refused because a limit was reached") \
  COUNT(client_limited, "Queries refused because the client's address or network had its share of the relay") \
  COUNT(failed, "Queries answered SERVFAIL because no upstream answered in time") \
  COUNT(upstream_queries, "Queries sent to upstreams") \
  COUNT(upstream_hedged, "Queries asked at the next upstream, too, because the first was later than usual") \
  COUNT(upstream_trials, "Copies of queries sent to upstreams in trouble to see whether they work again") \
  COUNT(upstream_suspected, "Connections whose octets were acknowledged later than on a living path") \
  COUNT(upstream_retired, "Connections closed because too many of their queries were never answered") \
  COUNT(upstream_silent, "Connections given up because the path to the upstream went silent") \
  COUNT(upstream_answers, "Answers from upstreams that matched a query") \
  COUNT(upstream_errors, "Answers from upstreams with an RCODE that makes the relay ask the next one") \
  COUNT(upstream_mismatched, "Frames from upstreams that matched no query") \
  COUNT(upstream_strayed, "Connections closed because too many frames in a short time matched no query") \
  COUNT(upstream_malformed, "Answers from upstreams that matched a query but were malformed; the next one is asked") \
  COUNT(upstream_without_edns, "Queries asked once more without EDNS, because the upstream refused it with") \
  COUNT(upstream_late, "Answers from upstreams to queries that nobody waited for any more") \
  COUNT(upstream_dials, "Connections begun to upstreams") \
  COUNT(upstream_handshakes, "TLS handshakes completed") \
  COUNT(upstream_resumptions, "TLS handshakes that resumed a session") \
  COUNT(upstream_stalled_handshakes, "TLS handshakes that did not go on; another was begun with smaller TCP segments") \
  COUNT(upstream_tickets_refused, "TLS handshakes that failed with a session ticket and were begun again without one") \
  COUNT(upstream_tickets_unusable, "Connections ended by a session ticket that is too large; no more are asked for there") \
  COUNT(upstream_dial_failures, "Connections to upstreams that failed before they were ready") \
  COUNT(upstream_limited, "Connections that an upstream refused while it served other workers of the relay") \
  COUNT(passed_to_sibling, "Queries sent through another worker's connection") \
  COUNT(taken_from_sibling, "Queries of other workers sent on a connection of this one") \
  COUNT(upstream_authentication_failures, "TLS handshakes that failed because of the certificate") \
  COUNT(tcp_accepted, "Client connections accepted") \
  COUNT(tcp_shed, "Client connections closed to stay within a limit") \
  COUNT(tcp_timed_out, "Client connections closed for idleness or a half-sent query") \
  COUNT(accept_pauses, "Times accepting paused for want of descriptors") \
  COUNT(udp_unsent, "Answers over UDP that the kernel did not take") \
  COUNT(log_lines_suppressed, "Log lines left out because there were too many in a second") \
  COUNT(log_lines_lost, "Log lines lost because standard error was not read, or full")
// clang-format on

enum class Counter : std::uint8_t {
#define DOTRELAY_COUNTER_NAME(name, help) name,
  DOTRELAY_COUNTERS(DOTRELAY_COUNTER_NAME)
#undef DOTRELAY_COUNTER_NAME
      count_
};

inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::count_);

struct CounterRow {
  std::string_view name;
  std::string_view help;
};

inline constexpr std::array<CounterRow, kCounterCount> kCounterRows = {{
#define DOTRELAY_COUNTER_ROW(name, help) {#name, help},
    DOTRELAY_COUNTERS(DOTRELAY_COUNTER_ROW)
#undef DOTRELAY_COUNTER_ROW
}};

/// One worker's counters. All zero octets is a valid beginning, as fresh shared memory is.
class Counters {
 public:
  [[gnu::always_inline]] void add(Counter counter, std::uint64_t amount = 1) {
    Value& value = values_[static_cast<std::size_t>(counter)];
    const std::uint64_t sum = value.low.load(std::memory_order_relaxed) + amount;
    value.low.store(static_cast<std::uint32_t>(sum), std::memory_order_relaxed);
    if (const auto carry = static_cast<std::uint32_t>(sum >> 32); carry != 0) {
      value.high.store(value.high.load(std::memory_order_relaxed) + carry, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] std::uint64_t get(Counter counter) const {
    const Value& value = values_[static_cast<std::size_t>(counter)];
    return std::uint64_t{value.high.load(std::memory_order_relaxed)} << 32 | value.low.load(std::memory_order_relaxed);
  }

 private:
  /// Two words: 64 bits are more than some CPUs load or store at once. Between the two a reader may miss a carry.
  struct Value {
    SharedWord low;
    SharedWord high;
  };
  std::array<Value, kCounterCount> values_{};
};

}  // namespace dotrelay
