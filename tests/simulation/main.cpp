// The command line of the simulation: `simulation SEEDS [FIRST]` lives the lives of SEEDS seeds from FIRST on, on all
// CPUs. At the first breach it tells the invariant, the virtual time and the last events, and exits with 1.
#include "runner.hpp"
#include "self_test.hpp"

#include <cstdlib>
#include <optional>
#include <string_view>

namespace {

using namespace dotrelay::simulation;

constexpr char kUsage[] =
    "usage: simulation SEEDS [FIRST] [--all] [--strict]\n"
    "       simulation 1 SEED --trace [--strict]\n"
    "       simulation --self-test\n"
    "  --all        go on after a breach, one line for each\n"
    "  --trace      print everything that happens in one life\n"
    "  --strict     an upstream is well when one of its addresses is, whatever its others do\n"
    "  --self-test  show that each breach would be noticed\n";

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  int numbers = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--trace") {
      options.trace = true;
    } else if (argument == "--all") {
      options.all = true;
    } else if (argument == "--strict") {
      options.promise = Promise::addresses;
    } else {
      char* end = nullptr;
      const unsigned long number = std::strtoul(argv[i], &end, 10);
      if (numbers == 2 || end == argv[i] || *end != '\0' || number > 1'000'000'000) return std::nullopt;
      (numbers++ == 0 ? options.count : options.first) = static_cast<std::uint32_t>(number);
    }
  }
  if (options.count == 0 || (options.trace && options.count != 1)) return std::nullopt;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--self-test") return run_self_test();
  const std::optional<Options> options = parse(argc, argv);
  if (!options) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  return options->trace ? live_one(*options) : live_many(*options);
}
