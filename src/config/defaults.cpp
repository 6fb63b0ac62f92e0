// See defaults.hpp.
#include "config/defaults.hpp"

#include <algorithm>
#include <string_view>

namespace dotrelay {
namespace {

void append_wrapped_comment(std::string& text, std::string_view words) {
  constexpr std::size_t kWidth = 100;
  while (!words.empty()) {
    std::size_t length = words.size();
    if (length > kWidth) length = words.rfind(' ', kWidth);
    text.append("# ").append(words.substr(0, length)).append("\n");
    words.remove_prefix(std::min(words.size(), length + 1));
  }
}

void append_key(std::string& text, const KeyRow& row, bool repeated) {
  text += "\n";
  append_wrapped_comment(text, row.help);
  append_wrapped_comment(text, "Allowed: " + allowed_text(row) + (row.required ? ". Required." : "."));
  if (repeated || row.default_value.empty()) text += "# ";
  text.append(row.name).append(" =");
  if (!row.default_value.empty()) text.append(" ").append(row.default_value);
  text += "\n";
}

}  // namespace

std::string defaults_as_toml(std::span<const TableRow> tables) {
  std::string text = "# All keys of dotrelay with their defaults. A key without a default is shown in a comment.\n";
  for (const TableRow& table : tables) {
    const bool repeated = table.repeated != 0;
    text.append("\n").append(repeated ? "# " : "").append(bracketed(table)).append("\n");
    append_wrapped_comment(text, table.help);
    for (const KeyRow& row : table.keys) append_key(text, row, repeated);
  }
  return text;
}

}  // namespace dotrelay
