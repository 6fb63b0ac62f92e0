// The catalogue of counters: names, help texts and the rule that zero octets are a valid beginning.
#include "metrics/counters.hpp"

#include <cctype>
#include <cstring>
#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

TEST_CASE("counters count apart from each other") {
  Counters counters;
  counters.add(Counter::answers);
  counters.add(Counter::answers, 41);
  counters.add(Counter::udp_unsent);
  CHECK(counters.get(Counter::answers) == 42);
  CHECK(counters.get(Counter::udp_unsent) == 1);
  CHECK(counters.get(Counter::failed) == 0);
}

TEST_CASE("counters go beyond 32 bits") {
  Counters counters;
  counters.add(Counter::answers, UINT32_MAX);
  CHECK(counters.get(Counter::answers) == UINT32_MAX);
  counters.add(Counter::answers);
  CHECK(counters.get(Counter::answers) == std::uint64_t{1} << 32);
  counters.add(Counter::answers, std::uint64_t{5} << 33);
  counters.add(Counter::answers, UINT32_MAX);
  CHECK(counters.get(Counter::answers) == (std::uint64_t{11} << 32) + UINT32_MAX);
}

TEST_CASE("every row has a name of its own in snake_case and a help text") {
  std::set<std::string_view> names;
  for (const CounterRow& row : kCounterRows) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    for (const char c : row.name) CHECK((c == '_' || std::islower(static_cast<unsigned char>(c)) != 0));
    CHECK(row.help.size() > 10);
  }
}

TEST_CASE("rows and enumerators stand in the same order") {
  CHECK(kCounterRows[static_cast<std::size_t>(Counter::queries_udp)].name == "queries_udp");
  CHECK(kCounterRows[static_cast<std::size_t>(Counter::udp_unsent)].name == "udp_unsent");
  CHECK(kCounterRows.back().name == "log_lines_lost");
}

TEST_CASE("fresh shared memory is a valid set of counters") {
  alignas(Counters) unsigned char memory[sizeof(Counters)] = {};
  auto* const counters = reinterpret_cast<Counters*>(memory);
  for (std::size_t i = 0; i < kCounterCount; ++i) CHECK(counters->get(static_cast<Counter>(i)) == 0);
}

}  // namespace
}  // namespace dotrelay
