// See setters.hpp.
#include "config/setters.hpp"

#include <algorithm>

namespace dotrelay {

void EndpointList::clear() const {
  endpoints.clear();
  positions.clear();
}

KeyProblem EndpointList::take(const KeyTarget& target, std::string_view text, std::uint16_t default_port) const {
  const Result<Endpoint> endpoint = parse_endpoint(text, default_port);
  if (!endpoint) return endpoint.error().message;
  const std::string quoted = "\"" + std::string(text) + "\"";
  const IpAddress& address = endpoint->address;
  if (address.is_multicast()) return quoted + " is a multicast address";
  if (address == kBroadcast) return quoted + " is a broadcast address";
  if (!endpoint->scope.empty() && !address.is_link_local()) {
    return quoted + " has an interface behind \"%\"; only link-local addresses (fe80::/10) have one";
  }
  if (std::ranges::find(endpoints, *endpoint) != endpoints.end()) return quoted + " is listed twice";
  endpoints.push_back(*endpoint);
  positions.push_back(target.position);
  return std::nullopt;
}

KeyProblem take_duration(const KeyTarget& target, std::string_view text, Duration& duration) {
  const Result<std::int64_t> milliseconds = parse_in_range(text, target.range);
  if (!milliseconds) return milliseconds.error().message;
  duration = std::chrono::milliseconds(*milliseconds);
  return std::nullopt;
}

}  // namespace dotrelay
