// A result holds its value or its error, and moves values that cannot be copied.
#include "base/result.hpp"

#include <doctest/doctest.h>
#include <memory>

namespace dotrelay {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error{std::to_string(number) + " is odd"};
  return number / 2;
}

TEST_CASE("either a value or an error") {
  const Result<int> good = half(8);
  REQUIRE(good);
  CHECK(*good == 4);
  const Result<int> bad = half(7);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message == "7 is odd");
}

TEST_CASE("values that only move") {
  Result<std::unique_ptr<std::string>> result(std::make_unique<std::string>("text"));
  REQUIRE(result);
  CHECK((*result)->size() == 4);
  CHECK(result->get() != nullptr);
  const std::unique_ptr<std::string> taken = std::move(*result);
  CHECK(*taken == "text");
}

TEST_CASE("a status is either fine or an error") {
  CHECK(ok());
  CHECK_FALSE(Status(Error{"no"}));
}

}  // namespace
}  // namespace dotrelay
