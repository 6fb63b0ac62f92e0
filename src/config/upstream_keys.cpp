// See upstream_keys.hpp.
#include "config/upstream_keys.hpp"

#include <algorithm>
#include <span>

namespace dotrelay {

KeyProblem take_upstream_name(const KeyTarget& target, std::string_view text) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  if (!target.range.contains(static_cast<std::int64_t>(text.size())) || !printable) {
    return "\"" + std::string(text) + "\" is not such a name";
  }
  latest_upstream(target).name = text;
  latest_upstream(target).name_position = target.position;
  return std::nullopt;
}

void clear_upstream_addresses(const KeyTarget& target) {
  UpstreamConfig& upstream = latest_upstream(target);
  EndpointList{upstream.addresses, upstream.address_positions}.clear();
}

KeyProblem take_upstream_address(const KeyTarget& target, std::string_view text, std::uint16_t default_port) {
  UpstreamConfig& upstream = latest_upstream(target);
  const EndpointList addresses{upstream.addresses, upstream.address_positions};
  if (KeyProblem problem = addresses.take(target, text, default_port)) return problem;
  if (upstream.addresses.back().address.is_unspecified()) {
    return "\"" + std::string(text) + "\" is no address of a server";
  }
  return std::nullopt;
}

MaybeProblem judge_place(const Config& config, std::string_view table) {
  const UpstreamConfig& latest = config.upstreams.back();
  const std::string key = std::string(table) + ".name: ";
  const auto earlier = std::span(config.upstreams).first(config.upstreams.size() - 1);
  if (std::ranges::find(earlier, latest.name, &UpstreamConfig::name) != earlier.end()) {
    return Problem{latest.name_position, key + "another upstream is called \"" + latest.name + "\" already"};
  }
  if (earlier.size() < kMaxUpstreams) return std::nullopt;
  return Problem{latest.name_position, key + "more than " + std::to_string(kMaxUpstreams) +
                                           " upstreams, those of [[upstream]] and [[local_upstream]] together"};
}

}  // namespace dotrelay
