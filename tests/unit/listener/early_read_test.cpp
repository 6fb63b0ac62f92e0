// Which clients are read when they are accepted.
#include "listener/early_read.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("each client is read at once, but for the next few after a read in vain") {
  EarlyRead early;
  for (int i = 0; i < 100; ++i) CHECK(early.is_worthwhile());
  early.in_vain();
  for (int i = 0; i < EarlyRead::kLeftToLoop; ++i) CHECK_FALSE(early.is_worthwhile());
  CHECK(early.is_worthwhile());
  CHECK(early.is_worthwhile());
}

}  // namespace
}  // namespace dotrelay
