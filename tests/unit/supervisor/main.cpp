// The main() of these tests. A supervisor executes its own program (/proc/self/exe) as worker, for the check before an
// upgrade, and at the upgrade: here that program is the test itself, which then plays the part that it is started for.
#include "supervisor/run_supervisor.hpp"
#include "supervisor/scripted_worker.hpp"

#include <charconv>
#include <string_view>

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

namespace {

/// "--config FILE [--watch] --resume=FD"
int resume(std::span<char* const> arguments) {
  dotrelay::SupervisorOptions options;
  options.config_file = arguments[1];
  options.version = "of the test";
  constexpr std::string_view kResume = "--resume=";
  const std::string_view last = arguments.back();
  if (!last.starts_with(kResume)) return 2;
  std::from_chars(last.data() + kResume.size(), last.data() + last.size(), options.resume);
  return dotrelay::run_supervisor(options);
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  const std::string_view first = arguments.empty() ? "" : arguments[0];
  if (first.starts_with("--worker=")) return dotrelay::test::play_worker(arguments);
  if (first == "check") return dotrelay::test::play_check(arguments);
  if (first == "--config") return resume(arguments);
  return doctest::Context(argc, argv).run();
}
