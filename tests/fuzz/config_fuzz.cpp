// Arbitrary text as a configuration file: either sound values within their ranges, or an error of one line whose
// position is inside the text.
#include "fuzz.hpp"

#include "config/parser.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

using namespace dotrelay;

namespace {

void check_error(std::string_view message, std::string_view text) {
  assert(message.starts_with("f:") && message.size() < 8000);
  assert(std::ranges::none_of(message, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }));
  message.remove_prefix(2);
  if (message.starts_with(' ')) {
    assert(message.size() > 10);
    return;
  }
  std::size_t line = 0;
  std::size_t column = 0;
  const char* const end = message.data() + message.size();
  const auto line_end = std::from_chars(message.data(), end, line).ptr;
  assert(line_end != end && *line_end == ':');
  const auto column_end = std::from_chars(line_end + 1, end, column).ptr;
  assert(end - column_end > 10 && column_end[0] == ':' && column_end[1] == ' ');
  const auto newlines = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  // The end of the file may be named as the place behind its last character.
  assert(line >= 1 && line <= newlines + 1);
  assert(column >= 1 && column <= text.size() + 2);
}

void check_values(const Config& config) {
  using namespace std::chrono_literals;
  assert(!config.listen.addresses.empty() && config.listen.addresses.size() <= kMaxListenAddresses);
  for (const Endpoint& endpoint : config.listen.addresses) assert(endpoint.port != 0);
  assert(!config.listen.allow.ranges.empty());
  assert(config.listen.workers <= kMaxWorkers);
  assert(!config.upstreams.empty() && config.upstreams.size() <= kMaxUpstreams);
  for (const UpstreamConfig& upstream : config.upstreams) {
    assert(!upstream.name.empty() && upstream.name.size() <= 64);
    assert(!upstream.tls_name.empty() && upstream.tls_name.size() <= 253);
    assert(upstream.tls_name.find('\0') == std::string::npos && upstream.ca_file.find('\0') == std::string::npos);
    assert(!upstream.addresses.empty() && upstream.addresses.size() <= kMaxUpstreamAddresses);
    for (const Endpoint& endpoint : upstream.addresses) assert(endpoint.port != 0);
  }
  assert(config.zones.size() <= kMaxZones);
  for (const ZoneConfig& zone : config.zones) {
    assert(!zone.names.empty() && zone.names.size() <= kMaxZoneNames);
    for (const PlacedName& name : zone.names) assert(!name.text.empty() && name.text.size() <= 253);
    assert(zone.answer.has_value() == zone.upstreams.empty() && zone.upstreams.size() <= kMaxUpstreams);
  }
  assert(config.relay.deadline >= 100ms && config.relay.deadline <= 60s);
  assert(config.limits.tcp_clients >= 1);
  assert(config.limits.tcp_idle >= 100ms && config.limits.tcp_idle <= 1h);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Config> config = parse_config(text, "f");
  if (config) {
    check_values(*config);
  } else {
    check_error(config.error().message, text);
  }
  return 0;
}
