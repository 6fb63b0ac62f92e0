// The [[zone]] table: names that only certain upstreams are asked for, or that the relay answers itself.
#include "config/tables.hpp"

#include <algorithm>
#include <array>

namespace dotrelay {
namespace {

constexpr std::size_t kMaxLabelLength = 63;  // RFC 1035 2.3.4
/// Of 255 octets (RFC 1035 2.3.4), the first length octet and the root label stand for no character.
constexpr std::size_t kMaxNameLength = 253;

constexpr std::array<std::string_view, 3> kAnswers = {"nxdomain", "nodata", "refused"};  // by ZoneAnswer

ZoneConfig& zone_of(const KeyTarget& target) { return target.config.zones.back(); }

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// Letters, digits, hyphens; underscores for services, slashes for parts of a reverse zone (RFC 2317 4).
bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '/';
}

/// `name` is in lower case and without its final dot.
KeyProblem judge_name(std::string_view name) {
  if (name.size() > kMaxNameLength) return "a domain name has at most 255 octets, this one more";
  if (name.starts_with("*.")) {
    return "a zone holds all names below it: write " + quoted(name.substr(2)) + " without \"*.\"";
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return quoted(name) + " has letters beyond ASCII: write its A-label (\"xn--...\")";
    }
    if (c != '.' && !is_name_character(c)) return quoted(name) + " is no domain name";
  }
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    if (end == begin) return quoted(name) + " has an empty label";
    if (end - begin > kMaxLabelLength) return quoted(name) + " has a label of more than 63 octets";
    begin = end + 1;
  }
  return std::nullopt;
}

KeyProblem take_name(const KeyTarget& target, std::string_view text) {
  if (text == ".") {
    return "\".\" is every name: the [[upstream]] tables without zone_only, in their order, serve all that is in no "
           "zone";
  }
  std::string name(text.substr(0, text.size() - (text.ends_with('.') ? 1U : 0U)));
  std::ranges::transform(name, name.begin(), lower);
  if (KeyProblem problem = judge_name(name)) return problem;
  for (const ZoneConfig& zone : target.config.zones) {
    const auto same = std::ranges::find(zone.names, name, &PlacedName::text);
    if (same == zone.names.end()) continue;
    return quoted(name) + " is in a zone already, in line " + std::to_string(same->position.line);
  }
  zone_of(target).names.push_back({std::move(name), target.position});
  return std::nullopt;
}

KeyProblem take_upstream(const KeyTarget& target, std::string_view text) {
  std::vector<PlacedName>& upstreams = zone_of(target).upstreams;
  if (std::ranges::find(upstreams, text, &PlacedName::text) != upstreams.end())
    return quoted(text) + " is listed twice";
  upstreams.push_back({std::string(text), target.position});
  return std::nullopt;
}

KeyProblem take_answer(const KeyTarget& target, std::string_view text) {
  const auto* const answer = std::ranges::find(kAnswers, text);
  if (answer == kAnswers.end()) return quoted(text) + " is no such answer";
  zone_of(target).answer = static_cast<ZoneAnswer>(answer - kAnswers.begin());
  zone_of(target).answer_position = target.position;
  return std::nullopt;
}

MaybeProblem judge_latest(const Config& config) {
  const ZoneConfig& latest = config.zones.back();
  const PlacedName& first = latest.names.front();
  if (latest.answer && !latest.upstreams.empty()) {
    return Problem{latest.answer_position,
                   "zone.answer: the zone of " + quoted(first.text) + " also has upstreams; only one of both may be"};
  }
  if (latest.answer || !latest.upstreams.empty()) return std::nullopt;
  return Problem{first.position, "zone.names: the zone of " + quoted(first.text) + " needs upstreams or an answer"};
}

constexpr KeyRow kKeys[] = {
    {
        .name = "names",
        .set = SetList{[](const KeyTarget& target) { zone_of(target).names.clear(); }, take_name},
        .range = {1, kMaxZoneNames},
        .required = true,
        .allowed = "{} domain names of letters, digits, \"-\", \"_\" and \"/\"",
        .help = "The names of this zone; all names below also belong to it. Of several zones that hold a name, the "
                "one with the longest name counts. Case and a final dot do not matter. Write international names as "
                "A-labels (\"xn--...\").",
    },
    {
        .name = "upstreams",
        .set = SetList{[](const KeyTarget& target) { zone_of(target).upstreams.clear(); }, take_upstream},
        .range = {1, kMaxUpstreams},
        .allowed = "{} names of [[upstream]] or of [[local_upstream]] tables, each once",
        .help = "The upstreams that are asked for these names, in this failover order, and no others whatever happens. "
                "They are either all [[upstream]] or all [[local_upstream]]. Write either this or answer.",
    },
    {
        .name = "answer",
        .set = SetText{take_answer},
        .allowed = "\"nxdomain\", \"nodata\" or \"refused\"",
        .help = "What the relay itself answers for these names: that they do not exist, that they have no data, or "
                "REFUSED. No upstream is asked.",
    },
};

}  // namespace

std::string_view to_text(ZoneAnswer answer) { return kAnswers[static_cast<std::size_t>(answer)]; }

TableRow zone_table() {
  return {
      .name = "zone",
      .keys = kKeys,
      .repeated = kMaxZones,
      .help =
          "Names that not all upstreams are to see. A zone for a name that the relay answers itself (\"local\", "
          "\"10.in-addr.arpa\", see the manual) replaces that answer.",
      .begin = [](Config& config) { config.zones.emplace_back(); },
      .judge = judge_latest,
  };
}

}  // namespace dotrelay
