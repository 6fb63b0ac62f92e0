// The command line of the test of torn writes: workers of the answer cache die while they write, and every answer that
// is found afterwards is compared with the truth.
#include "kills.hpp"
#include "steps.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using namespace dotrelay::torn;

constexpr char kUsage[] =
    "usage: torn [--kills N] [--stride N] [--seed N] [--expect-wrong]\n"
    "  --kills N       kill N workers at random moments (default: 1000)\n"
    "  --stride N      look after each Nth instruction of two puts (default: 1, all of them)\n"
    "  --seed N        of the moments (default: 1)\n"
    "  --expect-wrong  the cache has a fault: end with success as soon as a wrong answer is found\n";

/// Between two looks when one wrong answer is enough.
constexpr std::uint32_t kCoarseStride = 7;

struct Options {
  std::uint32_t kills = 1000;
  std::uint32_t stride = 1;
  std::uint32_t seed = 1;
  bool expect_wrong = false;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--expect-wrong") {
      options.expect_wrong = true;
      options.stride = kCoarseStride;
      continue;
    }
    std::uint32_t* const number = argument == "--kills"    ? &options.kills
                                  : argument == "--stride" ? &options.stride
                                  : argument == "--seed"   ? &options.seed
                                                           : nullptr;
    if (number == nullptr || ++i == argc) return false;
    *number = static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10));
  }
  return options.stride > 0;
}

unsigned long long figure(std::uint64_t value) { return value; }

std::uint64_t run_steps(const Options& options) {
  const StepsResult steps = single_step(options.stride, options.expect_wrong);
  if (!steps.permitted) {
    std::puts("single steps are left out: this system does not permit ptrace");
    return 0;
  }
  std::printf("%llu instructions, %llu deaths, %llu answers compared, %llu wrong\n", figure(steps.instructions),
              figure(steps.deaths), figure(steps.tally.checked), figure(steps.tally.wrong));
  return steps.tally.wrong;
}

std::uint64_t run_kills(const Options& options) {
  const KillsResult kills = kill_workers(options.kills, options.seed, options.expect_wrong);
  std::printf("%u workers killed, %llu puts, %llu answers compared, %llu wrong\n", kills.kills, figure(kills.puts),
              figure(kills.tally.checked), figure(kills.tally.wrong));
  return kills.tally.wrong;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::uint64_t wrong = run_kills(options);
  std::fflush(stdout);
  if (wrong == 0 || !options.expect_wrong) wrong += run_steps(options);
  return (wrong > 0) == options.expect_wrong ? 0 : 1;
}
