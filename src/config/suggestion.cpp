// See suggestion.hpp.
#include "config/suggestion.hpp"

#include <algorithm>
#include <utility>

namespace dotrelay {
namespace {

/// Edit distance (Levenshtein).
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

}  // namespace

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

}  // namespace dotrelay
