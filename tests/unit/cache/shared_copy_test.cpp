// Octets there and back, of every size, and no word behind them touched.
#include "cache/shared_copy.hpp"

#include <array>
#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

TEST_CASE("octets are the same there and back") {
  for (std::size_t size = 0; size <= 41; ++size) {
    CAPTURE(size);
    std::vector<std::uint8_t> octets(size);
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<std::uint8_t>(i + 1);
    std::array<SharedWord, 16> words;
    for (SharedWord& word : words) word = 0xaaaaaaaa;
    copy_in(octets, words.data());
    std::vector<std::uint8_t> back(size);
    copy_out(words.data(), back);
    CHECK(back == octets);
    for (std::size_t i = (size + 3) / 4; i < words.size(); ++i) CHECK(words[i] == 0xaaaaaaaa);
  }
}

TEST_CASE("words move towards the front over themselves") {
  std::array<SharedWord, 8> words;
  for (std::uint32_t i = 0; i < 8; ++i) words[i] = i;
  move_down(&words[2], &words[0], 6);
  for (std::uint32_t i = 0; i < 6; ++i) CHECK(words[i] == i + 2);
  move_down(&words[1], &words[1], 4);
  CHECK(words[1] == 3);
}

}  // namespace
}  // namespace dotrelay
