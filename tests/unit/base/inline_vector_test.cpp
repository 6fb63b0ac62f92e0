// The inline vector against std::vector, over the border where its values leave the object and come back.
#include "base/inline_vector.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

TEST_CASE("any order of calls gives what a vector gives") {
  Random random(5);
  InlineVector<std::uint32_t, 2> values;
  std::vector<std::uint32_t> model;
  for (int step = 0; step < 20'000; ++step) {
    if (random.below(3) != 0) {
      const std::uint32_t value = random.below(8);
      values.push_back(value);
      model.push_back(value);
      REQUIRE(values.back() == value);
    } else {
      const std::uint32_t limit = random.below(9);
      const auto unwanted = [&](std::uint32_t value) { return value < limit; };
      REQUIRE(values.erase_if(unwanted) == std::erase_if(model, unwanted));
    }
    if (step % 97 == 0) {
      values.clear();
      model.clear();
    }
    REQUIRE(values.size() == model.size());
    REQUIRE(values.empty() == model.empty());
    REQUIRE(std::ranges::equal(values, model));
  }
}

}  // namespace
}  // namespace dotrelay
