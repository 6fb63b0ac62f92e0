// See tables.hpp.
#include "config/tables.hpp"

#include <array>

namespace dotrelay {

std::span<const TableRow> all_tables() {
  static const std::array tables = {listen_table(), upstream_table(), local_upstream_table(), zone_table(),
                                    relay_table(),  cache_table(),    limits_table(),         log_table()};
  return tables;
}

std::string bracketed(const TableRow& table) {
  const std::string name(table.name);
  return table.repeated != 0 ? "[[" + name + "]]" : "[" + name + "]";
}

std::string allowed_text(const KeyRow& row) {
  constexpr std::string_view kPlace = "{}";
  std::string text(row.allowed);
  if (const std::size_t place = text.find(kPlace); place != std::string::npos) {
    text.replace(place, kPlace.size(), to_text(row.range));
  }
  return text;
}

std::string_view type_name(const KeyRow& row) {
  constexpr std::array<std::string_view, 4> kNames = {"a string", "an integer", "true or false", "a list of strings"};
  return kNames[row.set.index()];
}

}  // namespace dotrelay
