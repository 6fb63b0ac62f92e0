// See parser.hpp.
#include "config/parser.hpp"

#include "config/keys.hpp"

#include <algorithm>
#include <toml++/toml.h>
#include <utility>
#include <vector>

namespace dotrelay {
namespace {

/// Thrown nowhere outside this file: the first problem ends the parse.
struct Problem {
  SourcePosition position;
  std::string message;
};

using MaybeProblem = std::optional<Problem>;

SourcePosition position_of(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

/// Edit distance (Levenshtein), for "did you mean".
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t substituted = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row.back();
}

/// "; did you mean "x"?" when one of `known` is close, then what exists.
std::string suggestion(std::string_view unknown, const std::vector<std::string_view>& known) {
  const std::string_view compared = unknown.substr(0, 64);
  const auto nearest = std::ranges::min_element(known, {}, [&](auto name) { return distance(compared, name); });
  std::string text;
  if (distance(compared, *nearest) <= std::max<std::size_t>(1, nearest->size() / 3)) {
    text = "; did you mean \"" + std::string(*nearest) + "\"?";
  } else {
    text = "; there is:";
    for (const std::string_view name : known) text.append(" ").append(name);
  }
  return text;
}

std::vector<std::string_view> table_names() {
  std::vector<std::string_view> names;
  for (const KeyRow& row : all_keys()) {
    if (names.empty() || names.back() != row.table) names.push_back(row.table);
  }
  return names;
}

std::vector<std::string_view> key_names(std::string_view table) {
  std::vector<std::string_view> names;
  for (const KeyRow& row : all_keys()) {
    if (row.table == table) names.push_back(row.name);
  }
  return names;
}

const KeyRow* find_row(std::string_view table, std::string_view name) {
  const auto rows = all_keys();
  const auto row =
      std::ranges::find_if(rows, [&](const KeyRow& row) { return row.table == table && row.name == name; });
  return row == rows.end() ? nullptr : &*row;
}

std::string bracketed(std::string_view table) {
  return table == "upstream" ? "[[upstream]]" : "[" + std::string(table) + "]";
}

/// One table's keys, applied to their rows.
class TableReader {
 public:
  TableReader(std::string_view table, Config& config, UpstreamConfig* upstream)
      : table_(table), config_(config), upstream_(upstream) {}

  MaybeProblem read(const toml::table& values) {
    for (const auto& [key, node] : values) {
      const KeyRow* const row = find_row(table_, key.str());
      if (row == nullptr) {
        return Problem{position_of(key.source()), "unknown key \"" + std::string(key.str()) + "\" in " +
                                                      bracketed(table_) + suggestion(key.str(), key_names(table_))};
      }
      if (MaybeProblem problem = apply(*row, node)) return problem;
    }
    return std::nullopt;
  }

  MaybeProblem apply(const KeyRow& row, const toml::node& node) {
    target_position_ = position_of(node.source());
    if (const auto* set = std::get_if<SetText>(&row.set)) {
      const auto value = node.value_exact<std::string_view>();
      return value ? check(row, node, (*set)(target(), *value)) : wrong_type(row, node);
    }
    if (const auto* set = std::get_if<SetNumber>(&row.set)) {
      const auto value = node.value_exact<std::int64_t>();
      return value ? check(row, node, (*set)(target(), *value)) : wrong_type(row, node);
    }
    if (const auto* set = std::get_if<SetFlag>(&row.set)) {
      const auto value = node.value_exact<bool>();
      return value ? check(row, node, (*set)(target(), *value)) : wrong_type(row, node);
    }
    return apply_list(row, std::get<SetList>(row.set), node);
  }

 private:
  [[nodiscard]] KeyTarget target() const { return {config_, upstream_, target_position_}; }

  [[nodiscard]] static std::string label(const KeyRow& row) {
    return std::string(row.table) + "." + std::string(row.name);
  }

  static MaybeProblem check(const KeyRow& row, const toml::node& node, const KeyProblem& problem) {
    if (!problem) return std::nullopt;
    return Problem{position_of(node.source()), label(row) + ": " + *problem + "; allowed: " + std::string(row.allowed)};
  }

  static MaybeProblem wrong_type(const KeyRow& row, const toml::node& node) {
    return Problem{position_of(node.source()),
                   label(row) + " must be " + std::string(type_name(row)) + "; allowed: " + std::string(row.allowed)};
  }

  MaybeProblem apply_list(const KeyRow& row, const SetList& set, const toml::node& node) {
    const toml::array* const values = node.as_array();
    if (values == nullptr) return wrong_type(row, node);
    if (values->size() < set.least || values->size() > set.most) {
      return check(row, node, std::to_string(values->size()) + " entries");
    }
    set.begin(target());
    for (const toml::node& entry : *values) {
      const auto value = entry.value_exact<std::string_view>();
      if (!value) return wrong_type(row, entry);
      target_position_ = position_of(entry.source());
      if (MaybeProblem problem = check(row, entry, set.add(target(), *value))) return problem;
    }
    return std::nullopt;
  }

  std::string_view table_;
  Config& config_;
  UpstreamConfig* upstream_;
  SourcePosition target_position_;
};

/// The defaults are text in the key table, read by the same code as the file.
void apply_defaults(Config& config) {
  for (const KeyRow& row : all_keys()) {
    if (row.default_value.empty()) continue;
    const toml::parse_result parsed = toml::parse("value = " + std::string(row.default_value));
    assert(parsed);
    [[maybe_unused]] const MaybeProblem problem =
        TableReader(row.table, config, nullptr).apply(row, *parsed.table().get("value"));
    assert(!problem);
  }
  std::ranges::fill(config.listen.address_positions, SourcePosition{});
}

/// What the keys of an upstream ask of each other.
MaybeProblem judge_egress(const UpstreamConfig& upstream) {
  const Egress& egress = upstream.egress;
  for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
    const Endpoint& endpoint = upstream.addresses[i];
    const auto problem = [&](const std::string& text) {
      return Problem{upstream.address_positions[i], "upstream.addresses: " + endpoint.to_text() + text};
    };
    if (egress.source && egress.source->is_v6 != endpoint.address.is_v6) {
      return problem(" cannot be reached from the source " + egress.source->to_text() +
                     ": one is IPv4 and the other IPv6; give the address an [[upstream]] of its own");
    }
    if (endpoint.address.is_link_local() && endpoint.scope.empty() && egress.interface.empty()) {
      return problem(" is link-local and lacks its interface (\"fe80::1%eth0\", or the key interface)");
    }
    if (!endpoint.scope.empty() && !egress.interface.empty() && endpoint.scope != egress.interface) {
      return problem(" is on another interface than " + egress.interface.name());
    }
  }
  if (egress.source && egress.source->is_link_local() && egress.interface.empty()) {
    return Problem{upstream.source_position, "upstream.source: a link-local address needs the key interface, too"};
  }
  return std::nullopt;
}

MaybeProblem read_upstream(const toml::table& values, Config& config) {
  UpstreamConfig upstream;
  if (MaybeProblem problem = TableReader("upstream", config, &upstream).read(values)) return problem;
  for (const KeyRow& row : all_keys()) {
    if (row.required && !values.contains(row.name)) {
      return Problem{position_of(values.source()),
                     "[[upstream]] needs the key \"" + std::string(row.name) + "\": " + std::string(row.allowed)};
    }
  }
  if (MaybeProblem problem = judge_egress(upstream)) return problem;
  const auto same_name = [&](const UpstreamConfig& other) { return other.name == upstream.name; };
  if (std::ranges::any_of(config.upstreams, same_name)) {
    return Problem{position_of(values.get("name")->source()),
                   "upstream.name: another upstream is called \"" + upstream.name + "\" already"};
  }
  config.upstreams.push_back(std::move(upstream));
  return std::nullopt;
}

MaybeProblem read_upstreams(const toml::node& node, Config& config) {
  const toml::array* const tables = node.as_array();
  if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table)) {
    return Problem{position_of(node.source()), "upstream must be written as [[upstream]] tables"};
  }
  if (tables->size() > kMaxUpstreams) {
    return Problem{position_of(tables->get(kMaxUpstreams)->source()),
                   "more than " + std::to_string(kMaxUpstreams) + " [[upstream]] tables"};
  }
  for (const toml::node& table : *tables) {
    if (MaybeProblem problem = read_upstream(*table.as_table(), config)) return problem;
  }
  return std::nullopt;
}

/// Whether the relay serves the endpoint, whatever machine it is on.
bool serves(const ListenConfig& listen, const Endpoint& endpoint) {
  return std::ranges::any_of(listen.addresses, [&](const Endpoint& own) {
    const bool wildcard = own.address.is_unspecified() && own.address.is_v6 == endpoint.address.is_v6;
    return own == endpoint || (wildcard && own.port == endpoint.port && endpoint.address.is_loopback());
  });
}

MaybeProblem find_own_upstream(const Config& config) {
  for (const UpstreamConfig& upstream : config.upstreams) {
    for (std::size_t i = 0; i < upstream.addresses.size(); ++i) {
      if (!serves(config.listen, upstream.addresses[i])) continue;
      return Problem{upstream.address_positions[i], "upstream.addresses: " + own_upstream(upstream.addresses[i])};
    }
  }
  return std::nullopt;
}

MaybeProblem read_root(const toml::table& root, Config& config) {
  const std::vector<std::string_view> known = table_names();
  for (const auto& [key, node] : root) {
    const std::string_view name = key.str();
    if (std::ranges::find(known, name) == known.end()) {
      const std::string_view kind = node.is_table() || node.is_array_of_tables() ? "table" : "key";
      return Problem{position_of(key.source()),
                     "unknown " + std::string(kind) + " \"" + std::string(name) + "\"" + suggestion(name, known)};
    }
    MaybeProblem problem;
    if (name == "upstream") {
      problem = read_upstreams(node, config);
    } else if (const toml::table* const table = node.as_table()) {
      problem = TableReader(name, config, nullptr).read(*table);
    } else {
      problem = Problem{position_of(node.source()),
                        std::string(name) + " must be written as a [" + std::string(name) + "] table"};
    }
    if (problem) return problem;
  }
  if (config.upstreams.empty()) {
    return Problem{{}, "no upstream: at least one [[upstream]] table with name, addresses and tls_name is needed"};
  }
  return find_own_upstream(config);
}

/// A key of very many parts ("a.a.a...") exhausts the stack of toml++ 3.3, which takes such tables apart by recursion.
MaybeProblem find_endless_key(std::string_view text) {
  constexpr std::size_t kMaxDotsInLine = 10'000;  // an allow list in one line has some 3,000
  for (std::uint32_t line = 1; !text.empty(); ++line) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    if (static_cast<std::size_t>(std::ranges::count(text.substr(0, length), '.')) > kMaxDotsInLine) {
      return Problem{{line, 1}, "more than " + std::to_string(kMaxDotsInLine) + " dots in one line"};
    }
    text.remove_prefix(std::min(text.size(), length + 1));
  }
  return std::nullopt;
}

/// Error texts quote what the file says; whatever that is, they stay one line of readable length.
std::string one_line(std::string_view text) {
  constexpr std::size_t kMaxLength = 1000;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string line;
  for (const char c : text.substr(0, kMaxLength)) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= ' ' && octet != 0x7f) {
      line += c;
    } else {
      line.append("\\x").append(1, kHex[octet >> 4]).append(1, kHex[octet & 15]);
    }
  }
  return text.size() > kMaxLength ? line + "..." : line;
}

void append_wrapped_comment(std::string& text, std::string_view words) {
  constexpr std::size_t kWidth = 100;
  while (!words.empty()) {
    std::size_t length = words.size();
    if (length > kWidth) length = words.rfind(' ', kWidth);
    text.append("# ").append(words.substr(0, length)).append("\n");
    words.remove_prefix(std::min(words.size(), length + 1));
  }
}

}  // namespace

std::string position_prefix(std::string_view file, SourcePosition position) {
  std::string prefix(file);
  if (position.line > 0) prefix += ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  return prefix + ": ";
}

std::string own_upstream(const Endpoint& endpoint) {
  return endpoint.to_text() + " is the relay itself (listen.addresses)";
}

Result<Config> parse_config(std::string_view text, std::string_view file) {
  if (const MaybeProblem problem = find_endless_key(text)) {
    return Error{position_prefix(file, problem->position) + problem->message};
  }
  const toml::parse_result parsed = toml::parse(text);
  MaybeProblem problem;
  Config config;
  if (parsed) {
    apply_defaults(config);
    const auto* const listen = parsed.table().get_as<toml::table>("listen");
    config.listen.addresses_are_default = listen == nullptr || !listen->contains("addresses");
    problem = read_root(parsed.table(), config);
  } else {
    problem = Problem{position_of(parsed.error().source()), std::string(parsed.error().description())};
  }
  if (problem) return Error{position_prefix(file, problem->position) + one_line(problem->message)};
  return config;
}

std::string defaults_as_toml() {
  std::string text = "# All keys of dotrelay with their defaults. A key without a default is shown in a comment.\n";
  std::string_view table;
  for (const KeyRow& row : all_keys()) {
    const bool upstream = row.table == "upstream";
    if (row.table != table) {
      table = row.table;
      text += "\n" + std::string(upstream ? "# " : "") + bracketed(table) + "\n";
      if (upstream) text += "# One table for each upstream; their order is the failover order.\n";
    }
    text += "\n";
    append_wrapped_comment(text, row.help);
    append_wrapped_comment(text, "Allowed: " + std::string(row.allowed) + (row.required ? ". Required." : "."));
    text += row.default_value.empty() ? "# " + std::string(row.name) + " =\n"
                                      : std::string(row.name) + " = " + std::string(row.default_value) + "\n";
  }
  return text;
}

}  // namespace dotrelay
