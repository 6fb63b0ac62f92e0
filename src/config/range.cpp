// See range.hpp.
#include "config/range.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

namespace dotrelay {
namespace {

struct Suffix {
  std::string_view name;
  std::int64_t size;  ///< in units
};

struct Notation {
  std::span<const Suffix> suffixes;  ///< a range is told with the first one that divides its end
  std::string_view zero;             ///< how a range's end of nothing is told
  std::string_view description;      ///< for error texts
};

constexpr Suffix kNone[] = {{"", 1}};
constexpr Suffix kTimes[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"s", 1000}, {"ms", 1}, {"m", 60'000}};  // "60s", never "1m"
constexpr Suffix kSizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}};
constexpr Suffix kPercent[] = {{"%", 1}};

/// By Unit.
constexpr std::array<Notation, 4> kNotations = {{
    {kNone, "0", "a number"},
    {kTimes, "0s", R"(a duration ("250ms", "4s", "1m", "1h", "1d"))"},
    {kSizes, "0", R"(a size ("512KiB", "8MiB", "1GiB"))"},
    {kPercent, "\"0%\"", R"(a percentage ("10%"))"},
}};

const Notation& notation_of(Unit unit) { return kNotations[static_cast<std::size_t>(unit)]; }

std::string spelled(std::int64_t value, Unit unit) {
  if (value == 0) return std::string(notation_of(unit).zero);
  const auto suffixes = notation_of(unit).suffixes;
  const auto suffix = std::ranges::find_if(suffixes, [&](const Suffix& each) { return value % each.size == 0; });
  assert(suffix != suffixes.end());
  const std::string text = std::to_string(value / suffix->size) + std::string(suffix->name);
  return unit == Unit::percent ? "\"" + text + "\"" : text;
}

/// The count has 32 bits, so that no product of count and suffix overflows.
std::optional<std::int64_t> parse(std::string_view text, Unit unit) {
  if (text == "0") return 0;
  std::uint32_t count = 0;
  const auto [suffix_begin, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failure != std::errc{}) return std::nullopt;
  const std::string_view name(suffix_begin, static_cast<std::size_t>(text.data() + text.size() - suffix_begin));
  const auto suffixes = notation_of(unit).suffixes;
  const auto suffix = std::ranges::find(suffixes, name, &Suffix::name);
  if (suffix == suffixes.end()) return std::nullopt;
  return count * suffix->size;
}

}  // namespace

std::string to_text(const Range& range) {
  return spelled(range.least, range.unit) + " to " + spelled(range.most, range.unit);
}

Result<std::int64_t> parse_in_range(std::string_view text, const Range& range) {
  assert(range.unit != Unit::count);
  const std::string quoted = "\"" + std::string(text) + "\"";
  const std::optional<std::int64_t> value = parse(text, range.unit);
  if (!value) return Error{quoted + " is not " + std::string(notation_of(range.unit).description)};
  if (!range.contains(*value)) return Error{quoted + " is out of range"};
  return *value;
}

}  // namespace dotrelay
