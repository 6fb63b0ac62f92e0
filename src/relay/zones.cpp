// See zones.hpp.
#include "relay/zones.hpp"

#include "dns/name.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace dotrelay {
namespace {

constexpr auto kLocalZones = static_cast<std::size_t>(dns::LocalZone::count_);
static_assert(1 + kMaxZones + kLocalZones <= std::numeric_limits<ZoneNumber>::max());

UpstreamOrder common_order(const Config& config) {
  UpstreamOrder order;
  for (std::size_t i = 0; i < config.upstreams.size(); ++i) {
    if (!config.upstreams[i].zone_only) order.add(i);
  }
  return order;
}

UpstreamOrder order_of(const Config& config, const ZoneConfig& zone) {
  UpstreamOrder order;
  for (const PlacedName& name : zone.upstreams) order.add(config.upstream_number(name.text));
  return order;
}

dns::LocalZone local_zone_of(ZoneAnswer answer) {
  switch (answer) {
    case ZoneAnswer::nxdomain:
      return dns::LocalZone::nxdomain;
    case ZoneAnswer::nodata:
      return dns::LocalZone::nodata;
    case ZoneAnswer::refused:
      break;
  }
  return dns::LocalZone::refused;
}

}  // namespace

Zones::Zones(const Config& config) : zones_{{common_order(config), {}}} {
  const std::size_t first_local = 1 + config.zones.size();
  for (const dns::SpecialName& row : dns::special_names()) add_default(row, first_local);
  for (const ZoneConfig& zone : config.zones) add(config, zone);
  for (std::size_t i = 0; i < kLocalZones; ++i) zones_.push_back({{}, static_cast<dns::LocalZone>(i)});
  index_.settle();
}

void Zones::add(const Config& config, const ZoneConfig& zone) {
  for (const PlacedName& name : zone.names) {
    index_.add(dns::from_text(name.text), static_cast<std::uint16_t>(zones_.size()));
  }
  zones_.push_back({order_of(config, zone), zone.answer ? local_zone_of(*zone.answer) : dns::LocalZone::refused});
}

void Zones::add_default(const dns::SpecialName& row, std::size_t first_local) {
  const auto number = static_cast<std::uint16_t>(first_local + static_cast<std::size_t>(row.zone));
  if (row.to == 0) index_.add(dns::from_text(row.name), number);
  for (unsigned label = row.from; row.to != 0 && label <= row.to; ++label) {
    index_.add(dns::from_text(std::to_string(label) + "." + std::string(row.name)), number);
  }
}

ZoneNumber Zones::judge(const dns::Question& question, dns::NameIndex::Found found) const {
  const auto zone = static_cast<ZoneNumber>(found.number);
  const bool at_apex = found.size == question.name.size();
  if (!at_apex || !zones_[zone].order.empty() || !dns::belongs_to_parent(zones_[zone].local, question)) return zone;
  return static_cast<ZoneNumber>(index_.find(question.name.subspan(1U + question.name[0])).number);
}

dns::LocalAnswer Zones::make_answer(ZoneNumber zone, const dns::Question& question) const {
  return dns::local_answer(zones_[zone].local, question, question.name.last(index_.find(question.name).size));
}

}  // namespace dotrelay
