// What a supervisor leaves to its successor: there and back, from other versions, and from another program that wrote
// something else.
#include "supervisor/upgrade_state.hpp"

#include <doctest/doctest.h>
#include <string>

namespace dotrelay {
namespace {

UpgradeState example() {
  UpgradeState state;
  state.program = "/opt/dot relay/dotrelay";
  state.config = 5;
  state.listeners = {{*parse_endpoint("127.0.0.1:53", 0), 1, 6, 7}, {*parse_endpoint("[::1]:53", 0), 2, 8, 9}};
  state.generations.push_back({10, {{1, 100, 11}, {2, 101, 12}}});
  state.generations.push_back({-1, {{1, 99, 13}}, {*parse_endpoint("127.0.0.1:54", 0)}});
  state.generations.push_back({14, {}});
  state.counters.add(Counter::answers, 1'000'000'000'000);
  return state;
}

constexpr const char* kText =
    "dotrelay-handover 1\n"
    "program /opt/dot relay/dotrelay\n"
    "config 5\n"
    "listener 127.0.0.1:53 1 6 7\n"
    "listener [::1]:53 2 8 9\n"
    "generation 10\n"
    "worker 1 100 11\n"
    "worker 2 101 12\n"
    "generation -1\n"
    "worker 1 99 13\n"
    "holds 127.0.0.1:54\n"
    "generation 14\n"
    "counter answers 1000000000000\n";

TEST_CASE("the text is a contract between versions") { CHECK(example().to_text() == kText); }

TEST_CASE("there and back") {
  const auto back = UpgradeState::from_text(kText);
  REQUIRE(back);
  CHECK(back->to_text() == kText);
  CHECK(back->program == "/opt/dot relay/dotrelay");
  CHECK(back->listeners == example().listeners);
  REQUIRE(back->generations.size() == 3);
  CHECK(back->generations[0].running[1].pid == 101);
  CHECK(back->generations[1].shared == -1);
  CHECK(back->generations[1].holds == example().generations[1].holds);
  CHECK(back->descriptors() == std::vector<int>{5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
}

TEST_CASE("mailboxes are handed over where there are some") {
  UpgradeState state = example();
  state.mailboxes = {{1, 20, 21}, {2, 22, 23}};
  const std::string text = state.to_text();
  CHECK(text.find("\nmailbox 1 20 21\nmailbox 2 22 23\ngeneration 10\n") != std::string::npos);
  const auto back = UpgradeState::from_text(text);
  REQUIRE(back);
  CHECK(back->mailboxes == state.mailboxes);
  CHECK(back->descriptors() == std::vector<int>{5, 6, 7, 8, 9, 20, 21, 22, 23, 10, 11, 12, 13, 14});
}

TEST_CASE("the cache of each generation is handed over where there is one") {
  UpgradeState state = example();
  state.generations[0].cache = 30;
  state.generations[2].cache = 31;
  const std::string text = state.to_text();
  CHECK(text.find("\ngeneration 10\ncache 30\nworker 1 100 11\n") != std::string::npos);
  const auto back = UpgradeState::from_text(text);
  REQUIRE(back);
  CHECK(back->generations[0].cache == 30);
  CHECK(back->generations[1].cache == -1);
  CHECK(back->generations[2].cache == 31);
  CHECK(back->descriptors() == std::vector<int>{5, 6, 7, 8, 9, 10, 30, 11, 12, 13, 14, 31});
}

TEST_CASE("lines and counters that a later version adds are skipped") {
  const auto back =
      UpgradeState::from_text(std::string(kText) + "sandbox 9 4096\ncounter sandbox_refusals 7\nanswer\n");
  REQUIRE(back);
  CHECK(back->to_text() == kText);
}

TEST_CASE("another version is refused") {
  for (const char* title : {"dotrelay-handover 2", "dotrelay-handover 10", "dotrelay-handover", "", "something"}) {
    CAPTURE(title);
    const std::string text = title + std::string(kText).substr(std::string(kText).find('\n'));
    CHECK(UpgradeState::from_text(text).error().message ==
          "the handover is of a version that this program does not know");
  }
}

TEST_CASE("every cut is noticed") {
  const std::string text = kText;
  const std::size_t enough = text.find("generation 10\n");
  for (std::size_t size = 0; size < enough; ++size) {
    CAPTURE(size);
    CHECK_FALSE(UpgradeState::from_text(text.substr(0, size)));
  }
}

TEST_CASE("damaged lines are refused") {
  for (const char* line : {"config",
                           "config x",
                           "config -1",
                           "config 5 6",
                           "config 99999999999",
                           "config 5x",
                           "program",
                           "program ",
                           "listener 127.0.0.1:53 1 6",
                           "listener 127.0.0.1 1 6 7",
                           "listener localhost:53 1 6 7",
                           "listener 127.0.0.1:53 0 6 7",
                           "listener 127.0.0.1:53 1 6 7 8",
                           "listener 127.0.0.1:53  1 6 7",
                           "listener 127.0.0.1:53 257 6 7",
                           "generation",
                           "generation -2",
                           "worker 1 100",
                           "worker 0 100 11",
                           "worker 1 0 11",
                           "worker 1 -1 11",
                           "worker 1 1 11",
                           "holds",
                           "holds 127.0.0.1",
                           "holds 127.0.0.1:54 1",
                           "counter answers",
                           "counter answers -1",
                           "counter answers x"}) {
    CAPTURE(line);
    CHECK_FALSE(UpgradeState::from_text(std::string(kText) + line + "\n"));
  }
  CHECK_FALSE(UpgradeState::from_text("dotrelay-handover 1\nworker 1 100 11\n"));
  CHECK_FALSE(UpgradeState::from_text("dotrelay-handover 1\nholds 127.0.0.1:54\n"));
  CHECK_FALSE(UpgradeState::from_text("dotrelay-handover 1\n"));
  const std::string beginning = std::string(kText).substr(0, std::string(kText).find("generation"));
  CHECK(UpgradeState::from_text(beginning + "generation -1\nworker 2 100 11\n"));
  CHECK_FALSE(UpgradeState::from_text(beginning + "generation -1\nworker 3 100 11\n"));
}

}  // namespace
}  // namespace dotrelay
