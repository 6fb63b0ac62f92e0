// See failure_cause.hpp.
#include "relay/failure_cause.hpp"

#include "base/printable.hpp"
#include "relay/blocked_network.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace dotrelay {
namespace {

/// What keeps the relay from all these upstreams, for the front of a cause; empty when it is not the network.
std::string words_of_network(const UpstreamSet& upstreams, UpstreamMask among) {
  std::vector<AddressTrouble> troubles;
  std::deque<std::string> causes;
  std::optional<std::uint16_t> port;
  bool same_port = true;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    if (!among.contains(i)) continue;
    const std::size_t before = troubles.size();
    for (const UpstreamAddress& address : upstreams[i].addresses) {
      if (!address.health.in_trouble()) continue;
      troubles.push_back({provider_of(upstreams[i].config->tls_name), address.health.trouble(),
                          causes.emplace_back(address.health.cause())});
    }
    if (troubles.size() == before) return {};
    for (const Endpoint& endpoint : upstreams[i].config->addresses) {
      same_port = same_port && endpoint.port == port.value_or(endpoint.port);
      port = endpoint.port;
    }
  }
  if (!network_blocks(troubles)) return {};
  return "this network blocks or intercepts DNS over TLS" + (same_port ? " (port " + std::to_string(*port) + ")" : "") +
         ": ";
}

}  // namespace

std::string failure_cause(const Query& query, const UpstreamSet& upstreams, TimePoint now) {
  std::string text;
  text.reserve(200);  // of two upstreams or so
  const UpstreamMask eligible = query.candidates.eligible();
  for (const std::size_t i : query.candidates.order()) {
    const Upstream& upstream = upstreams[i];
    const auto attempt =
        std::ranges::find_if(query.attempts, [i](const Attempt& sent) { return sent.upstream == i && !sent.suspect; });
    const auto failing =
        std::ranges::find_if(upstream.addresses, [](const auto& address) { return address.health.in_trouble(); });
    const auto dialled =
        std::ranges::find_if(upstream.addresses, [](const auto& address) { return address.dials > 0; });
    const auto add = [&](std::string_view source, std::string_view what) {
      text.append(text.empty() ? "" : "; ").append(source).append(source.empty() ? "" : ": ").append(what);
    };
    if (query.error && query.error->malformed && query.error->from.upstream == i) {
      add(upstreams.label(query.error->from), kMalformedAnswer);
    } else if (attempt != query.attempts.end()) {
      const PooledConnection& pooled = upstreams.connections().get(attempt->connection);
      add(upstreams.label({i, pooled.address}), "no answer in time");
    } else if (failing != upstream.addresses.end()) {
      add(failing->label, failing->health.cause());
    } else if (dialled != upstream.addresses.end()) {
      add(dialled->label, dialled->segments.suspected(now) ? kLargePacketsLost : "connection timed out");
    } else if ((query.candidates.asked().contains(i) || query.candidates.is_stale(i)) &&
               !upstream.last_problem.empty()) {
      add({}, upstream.last_problem);
    }
  }
  if (text.empty()) return "no upstream was usable in time";
  return printable(eligible.has_several() ? words_of_network(upstreams, eligible) + text : text);
}

}  // namespace dotrelay
