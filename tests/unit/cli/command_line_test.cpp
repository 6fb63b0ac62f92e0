// The command line: what each form means, and what is wrong usage.
#include "cli/command_line.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace dotrelay {
namespace {

Result<CommandLine> parse(std::vector<const char*> arguments) { return parse_command_line(arguments); }

TEST_CASE("without arguments: relay with the default file") {
  const auto line = parse({});
  REQUIRE(line);
  CHECK(line->action == CommandLine::Action::relay);
  CHECK(line->config_file == "/etc/dotrelay/dotrelay.toml");
}

TEST_CASE("the file may be named in three ways") {
  for (const auto& arguments :
       {std::vector<const char*>{"--config", "a.toml"}, {"-c", "a.toml"}, {"--config=a.toml"}}) {
    const auto line = parse(arguments);
    REQUIRE(line);
    CHECK(line->config_file == "a.toml");
    CHECK(line->action == CommandLine::Action::relay);
  }
}

TEST_CASE("check takes a file before or behind it") {
  for (const auto& arguments :
       {std::vector<const char*>{"check", "--config", "a.toml"}, {"--config", "a.toml", "check"}}) {
    const auto line = parse(arguments);
    REQUIRE(line);
    CHECK(line->action == CommandLine::Action::check);
    CHECK(line->config_file == "a.toml");
  }
}

TEST_CASE("help, version and defaults") {
  CHECK(parse({"--help"})->action == CommandLine::Action::help);
  CHECK(parse({"-h"})->action == CommandLine::Action::help);
  CHECK(parse({"--version"})->action == CommandLine::Action::version);
  CHECK(parse({"--print-defaults"})->action == CommandLine::Action::print_defaults);
  CHECK(help_text().find("--config FILE") != std::string_view::npos);
}

TEST_CASE("--watch is for the relay") {
  CHECK(parse({"--watch", "--config", "a.toml"})->watch);
  CHECK_FALSE(parse({"--config", "a.toml"})->watch);
  CHECK_FALSE(parse({"check", "--watch"}));
  CHECK(help_text().find("--watch") != std::string_view::npos);
}

TEST_CASE("what a supervisor passes to its successor") {
  const auto relay = parse({"--config", "a.toml", "--watch", "--resume=7"});
  REQUIRE(relay);
  CHECK(relay->action == CommandLine::Action::relay);
  CHECK(relay->resume == 7);
  CHECK(parse({})->resume == -1);
  const auto check = parse({"check", "--handover=1", "--config", "a.toml"});
  REQUIRE(check);
  CHECK(check->takeover == 1);
  CHECK(check->answer == -1);
  const auto answering = parse({"check", "--handover=1", "--answer=9", "--token=0af3", "--config", "a.toml"});
  REQUIRE(answering);
  CHECK(answering->answer == 9);
  CHECK(answering->token == "0af3");
  for (const char* bad : {"--resume=", "--resume=x", "--resume=-1", "--resume=7x", "--handover=", "--handover=1.5",
                          "--answer=", "--answer=-2"}) {
    CAPTURE(bad);
    CHECK(parse({bad}).error().message == "unknown argument \"" + std::string(bad) + "\"");
  }
}

TEST_CASE("a worker's arguments are kept as they are") {
  const auto line = parse({"--worker=3", "--descriptors=3,4,5", "--config", "a.toml"});
  REQUIRE(line);
  CHECK(line->action == CommandLine::Action::worker);
  CHECK(line->worker == "--worker=3");
  CHECK(line->descriptors == "--descriptors=3,4,5");
}

TEST_CASE("wrong usage says what is wrong") {
  CHECK(parse({"--config"}).error().message == "--config needs a file");
  CHECK(parse({"--config="}).error().message == "--config needs a file");
  CHECK(parse({"--config", ""}).error().message == "--config needs a file");
  CHECK(parse({"--colour"}).error().message == "unknown argument \"--colour\"");
  CHECK(parse({"check", "check"}).error().message == "unknown argument \"check\"");
  CHECK(parse({"a.toml"}).error().message == "unknown argument \"a.toml\"");
  CHECK_FALSE(parse({""}));
}

}  // namespace
}  // namespace dotrelay
