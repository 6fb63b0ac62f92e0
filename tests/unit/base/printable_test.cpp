// Texts of others: no control character gets through, in whatever way it is written.
#include "base/printable.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("control characters of one octet and of two become question marks") {
  for (int octet = 0; octet < 0x20; ++octet) CHECK(printable(std::string(1, static_cast<char>(octet))) == "?");
  CHECK(printable("\x7f") == "?");
  for (int octet = 0x80; octet < 0xa0; ++octet) {
    CHECK(printable(std::string(1, static_cast<char>(octet))) == "?");
    CHECK(printable(std::string("\xc2") + static_cast<char>(octet)) == "?");
  }
  CHECK(printable("red \x1b[31m, line\nfeed, CSI \xc2\x9b"
                  "2J") == "red ?[31m, line?feed, CSI ?2J");
}

TEST_CASE("other characters stay") {
  const std::string text = "Zürich, À, 日本, 🙂, \xc2\xa0~";
  CHECK(printable(text) == text);
  CHECK(printable("").empty());
}

TEST_CASE("what is no UTF-8 becomes question marks, octet by octet") {
  CHECK(printable("\xff\xfe") == "??");
  CHECK(printable("a\xc3") == "a?");
  CHECK(printable("\xc3(") == "?(");
  CHECK(printable("\xc0\x8a") == "??");            // a line feed in two octets
  CHECK(printable("\xe0\x80\x8a") == "???");       // in three
  CHECK(printable("\xed\xa0\x80") == "???");       // a surrogate
  CHECK(printable("\xf4\x90\x80\x80") == "????");  // beyond U+10FFFF
  CHECK(printable("\xe2\x82") == "??");
}

}  // namespace
}  // namespace dotrelay
