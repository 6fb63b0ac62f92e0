// See table_reader.hpp.
#include "config/table_reader.hpp"

#include "config/suggestion.hpp"

#include <algorithm>
#include <vector>

namespace dotrelay {
namespace {

template <class Row>
std::vector<std::string_view> names_of(std::span<const Row> rows) {
  std::vector<std::string_view> names;
  for (const Row& row : rows) names.push_back(row.name);
  return names;
}

/// One table's keys, applied to their rows.
class TableReader {
 public:
  TableReader(const TableRow& table, Config& config) : table_(table), config_(config) {}

  void apply_defaults() {
    for (const KeyRow& row : table_.keys) {
      if (row.default_value.empty()) continue;
      const toml::parse_result parsed = toml::parse("value = " + std::string(row.default_value));
      assert(parsed);
      in_file_ = false;
      [[maybe_unused]] const MaybeProblem problem = apply(row, *parsed.table().get("value"));
      assert(!problem);
    }
  }

  MaybeProblem read(const toml::table& values) {
    in_file_ = true;
    for (const auto& [key, node] : values) {
      const auto row = std::ranges::find(table_.keys, key.str(), &KeyRow::name);
      if (row == table_.keys.end()) {
        return Problem{position_of(key.source()), "unknown key \"" + std::string(key.str()) + "\" in " +
                                                      bracketed(table_) + suggestion(key.str(), names_of(table_.keys))};
      }
      if (MaybeProblem problem = apply(*row, node)) return problem;
    }
    for (const KeyRow& row : table_.keys) {
      if (!row.required || values.contains(row.name)) continue;
      return Problem{position_of(values.source()),
                     bracketed(table_) + " needs the key \"" + std::string(row.name) + "\": " + allowed_text(row)};
    }
    return table_.judge == nullptr ? std::nullopt : table_.judge(config_);
  }

 private:
  MaybeProblem apply(const KeyRow& row, const toml::node& node) {
    if (const auto* set = std::get_if<SetText>(&row.set)) {
      const auto value = node.value_exact<std::string_view>();
      return value ? check(row, node, (*set)(target(row, node), *value)) : wrong_type(row, node);
    }
    if (const auto* set = std::get_if<SetNumber>(&row.set)) {
      const auto value = node.value_exact<std::int64_t>();
      if (!value) return wrong_type(row, node);
      if (!row.range.contains(*value)) return check(row, node, std::to_string(*value) + " is out of range");
      (*set)(target(row, node), *value);
      return std::nullopt;
    }
    if (const auto* set = std::get_if<SetFlag>(&row.set)) {
      const auto value = node.value_exact<bool>();
      if (!value) return wrong_type(row, node);
      (*set)(target(row, node), *value);
      return std::nullopt;
    }
    return apply_list(row, std::get<SetList>(row.set), node);
  }

  MaybeProblem apply_list(const KeyRow& row, const SetList& set, const toml::node& node) {
    const toml::array* const values = node.as_array();
    if (values == nullptr) return wrong_type(row, node);
    if (!row.range.contains(static_cast<std::int64_t>(values->size()))) {
      return check(row, node, std::to_string(values->size()) + " entries");
    }
    set.begin(target(row, node));
    for (const toml::node& entry : *values) {
      const auto value = entry.value_exact<std::string_view>();
      if (!value) return wrong_type(row, entry);
      if (MaybeProblem problem = check(row, entry, set.add(target(row, entry), *value))) return problem;
    }
    return std::nullopt;
  }

  [[nodiscard]] KeyTarget target(const KeyRow& row, const toml::node& node) const {
    return {config_, in_file_ ? position_of(node.source()) : SourcePosition{}, row.range};
  }

  [[nodiscard]] std::string label(const KeyRow& row) const {
    return std::string(table_.name) + "." + std::string(row.name);
  }

  [[nodiscard]] MaybeProblem check(const KeyRow& row, const toml::node& node, const KeyProblem& problem) const {
    if (!problem) return std::nullopt;
    return Problem{position_of(node.source()), label(row) + ": " + *problem + "; allowed: " + allowed_text(row)};
  }

  [[nodiscard]] MaybeProblem wrong_type(const KeyRow& row, const toml::node& node) const {
    return Problem{position_of(node.source()),
                   label(row) + " must be " + std::string(type_name(row)) + "; allowed: " + allowed_text(row)};
  }

  const TableRow& table_;
  Config& config_;
  bool in_file_ = true;  ///< whether the value that is applied stands in the file
};

MaybeProblem read_single(const TableRow& table, const toml::node& node, Config& config) {
  if (const toml::table* const values = node.as_table()) return TableReader(table, config).read(*values);
  return Problem{position_of(node.source()),
                 std::string(table.name) + " must be written as a " + bracketed(table) + " table"};
}

MaybeProblem read_repeated(const TableRow& table, const toml::node& node, Config& config) {
  const toml::array* const entries = node.as_array();
  if (entries == nullptr || !entries->is_homogeneous(toml::node_type::table)) {
    return Problem{position_of(node.source()),
                   std::string(table.name) + " must be written as " + bracketed(table) + " tables"};
  }
  if (entries->size() > table.repeated) {
    return Problem{position_of(entries->get(table.repeated)->source()),
                   "more than " + std::to_string(table.repeated) + " " + bracketed(table) + " tables"};
  }
  for (const toml::node& entry : *entries) {
    table.begin(config);
    TableReader reader(table, config);
    reader.apply_defaults();
    if (MaybeProblem problem = reader.read(*entry.as_table())) return problem;
  }
  return std::nullopt;
}

Problem unknown_table(const toml::key& key, const toml::node& node, std::span<const TableRow> tables) {
  const std::string_view kind = node.is_table() || node.is_array_of_tables() ? "table" : "key";
  return {position_of(key.source()), "unknown " + std::string(kind) + " \"" + std::string(key.str()) + "\"" +
                                         suggestion(key.str(), names_of(tables))};
}

/// "no upstream: at least one [[upstream]] table with name, addresses and tls_name is needed"
Problem missing_table(const TableRow& table) {
  std::vector<std::string_view> required;
  for (const KeyRow& row : table.keys) {
    if (row.required) required.push_back(row.name);
  }
  std::string keys;
  for (std::size_t i = 0; i < required.size(); ++i) {
    const bool last = i + 1 == required.size();
    keys.append(i == 0 ? " with " : last ? " and " : ", ").append(required[i]);
  }
  return {{}, "no " + std::string(table.name) + ": at least one " + bracketed(table) + " table" + keys + " is needed"};
}

}  // namespace

SourcePosition position_of(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

void apply_defaults(std::span<const TableRow> tables, Config& config) {
  for (const TableRow& table : tables) {
    if (table.repeated == 0) TableReader(table, config).apply_defaults();
  }
}

MaybeProblem read_tables(const toml::table& root, std::span<const TableRow> tables, Config& config) {
  for (const auto& [key, node] : root) {
    if (std::ranges::find(tables, key.str(), &TableRow::name) == tables.end()) return unknown_table(key, node, tables);
  }
  for (const TableRow& table : tables) {
    const toml::node* const node = root.get(table.name);
    if (node == nullptr) continue;
    const auto read = table.repeated == 0 ? read_single : read_repeated;
    if (MaybeProblem problem = read(table, *node, config)) return problem;
  }
  for (const TableRow& table : tables) {
    if (table.required && !root.contains(table.name)) return missing_table(table);
  }
  return std::nullopt;
}

}  // namespace dotrelay
