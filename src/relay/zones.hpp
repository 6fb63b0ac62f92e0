// The zones: which one a name belongs to, and what that means for a query: the upstreams that may serve it and their
// order, or an answer from here. Those of the configuration and the names that are local by default (RFC 6303 and
// others, dns/special_names) stand in one index, and the longest name counts. So a zone of the configuration replaces a
// default one of the same name or has its part of one; one that is above a default one leaves it as it is.
#pragma once

#include "config/config.hpp"
#include "dns/name_index.hpp"
#include "dns/special_names.hpp"
#include "relay/upstream_order.hpp"
#include "relay/zone_number.hpp"

#include <optional>
#include <vector>

namespace dotrelay {

class Zones {
 public:
  /// Does not keep the configuration, which must be valid: each upstream that a zone names is there.
  explicit Zones(const Config& config);

  /// The zone of the question's name: kCommonZone when there is none, else that of the configuration with this number,
  /// counted from 1, or one of the local ones behind those. The same name has the same zone for all types but DS: at
  /// the apex of a zone that is local by default, it is the parent's.
  [[nodiscard]] ZoneNumber of(const dns::Question& question) const {
    const dns::NameIndex::Found found = index_.find(question.name);
    return found.size == 0 ? kCommonZone : judge(question, found);
  }

  /// The upstreams that may serve the zone; empty when the answer comes from here.
  [[nodiscard]] const UpstreamOrder& order(ZoneNumber zone) const { return zones_[zone].order; }

  /// The answer from here; none when upstreams serve the zone. `zone` is of(question).
  [[nodiscard]] std::optional<dns::LocalAnswer> local_answer(ZoneNumber zone, const dns::Question& question) const {
    if (zone == kCommonZone || !zones_[zone].order.empty()) [[likely]]
      return std::nullopt;
    return make_answer(zone, question);
  }

 private:
  struct Zone {
    UpstreamOrder order;
    dns::LocalZone local = dns::LocalZone::refused;  ///< where the order is empty
  };

  void add(const Config& config, const ZoneConfig& zone);
  void add_default(const dns::SpecialName& row, std::size_t first_local);
  [[nodiscard]] ZoneNumber judge(const dns::Question& question, dns::NameIndex::Found found) const;
  [[nodiscard]] dns::LocalAnswer make_answer(ZoneNumber zone, const dns::Question& question) const;

  std::vector<Zone> zones_;
  dns::NameIndex index_;
};

}  // namespace dotrelay
