// See parser.hpp.
#include "config/parser.hpp"

#include "config/judge.hpp"
#include "config/table_reader.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// A key of very many parts ("a.a.a...") exhausts the stack of toml++ 3.3, which takes such tables apart by recursion.
MaybeProblem find_endless_key(std::string_view text) {
  constexpr std::size_t kMaxDotsInLine = 10'000;  // an allow list in one line has about 3,000
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

MaybeProblem read_config(std::string_view text, std::span<const TableRow> tables, Config& config) {
  if (MaybeProblem problem = find_endless_key(text)) return problem;
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return Problem{position_of(parsed.error().source()), std::string(parsed.error().description())};
  apply_defaults(tables, config);
  if (MaybeProblem problem = read_tables(parsed.table(), tables, config)) return problem;
  return judge(config);
}

}  // namespace

std::string position_prefix(std::string_view file, SourcePosition position) {
  std::string prefix(file);
  if (position.line > 0) prefix += ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  return prefix + ": ";
}

Result<Config> parse_config(std::string_view text, std::string_view file, std::span<const TableRow> tables) {
  Config config;
  if (const MaybeProblem problem = read_config(text, tables, config)) {
    return Error{position_prefix(file, problem->position) + one_line(problem->message)};
  }
  return config;
}

}  // namespace dotrelay
