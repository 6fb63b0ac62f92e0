// See generation_log.hpp.
#include "supervisor/generation_log.hpp"

#include "config/zone_texts.hpp"

namespace dotrelay {
namespace {

/// ", from 192.0.2.1, by wwan0, with mark 16"
std::string words(const Egress& egress) {
  std::string text;
  if (egress.source) text += ", from " + egress.source->to_text();
  if (!egress.interface.empty()) text += ", by " + egress.interface.name();
  if (egress.mark != 0) text += ", with mark " + std::to_string(egress.mark);
  return text;
}

}  // namespace

void log_beginning(Log& log, const GenerationParts& parts) {
  std::string text = "listening on";
  for (const SocketLease& lease : parts.sockets.front()) text += " " + lease.pair().address.to_text();
  log.info(text + " (UDP and TCP)");
  for (std::size_t i = 0; i < parts.config.upstreams.size(); ++i) {
    const UpstreamConfig& upstream = parts.config.upstreams[i];
    const bool plain = upstream.transport == Transport::plain;
    text = "upstream " + std::to_string(i + 1) + ": " + upstream.name + (upstream.zone_only ? ", for zones only" : "") +
           (plain ? ", in plain text" : ", TLS name " + upstream.tls_name) + ", at";
    for (const Endpoint& endpoint : upstream.addresses) text += " " + endpoint.to_text();
    text += words(upstream.egress);
    if (!upstream.pins.empty()) text += upstream.ca_file.empty() ? ", by pin" : ", by CA and pin";
    log.info(text);
  }
  for (const ZoneConfig& zone : parts.config.zones) {
    log.info("zone " + joined(zone.names) + ": " +
             (zone.answer ? "answered here, " + std::string(to_text(*zone.answer)) : joined(zone.upstreams)));
  }
  for (const std::string& line : plain_text_lines(parts.config)) log.warning(line);
}

void log_totals(Log& log, const Totals& totals, std::string_view when, LogLevel level) {
  const auto total = [&](const auto& counter) { return std::to_string(totals.get(counter)); };
  log.info(std::string(when) + ": " + total(Counter::answers) + " answers to clients, " + total(Counter::failed) +
           " of them failures; " + total(Counter::upstream_queries) + " queries to upstreams over " +
           total(UpstreamCounter::upstream_handshakes) + " connections, " +
           total(UpstreamCounter::upstream_resumptions) + " resumed");
  if (!log.enabled(level)) return;
  for (const MetricRow& row : kMetricRows) log.write(level, std::string(row.name) + " " + total(row));
}

void log_refused_reload(Log& log, const std::string& why) { log.error("reload refused, nothing changed: " + why); }

}  // namespace dotrelay
