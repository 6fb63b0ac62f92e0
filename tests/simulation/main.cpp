// The command line of the simulation: `simulation SEEDS [FIRST] [--trace]` lives the lives of SEEDS seeds from FIRST
// on, on all CPUs. At the first breach it tells the invariant, the virtual time and the last events, and exits with 1.
#include "runner.hpp"

#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  using namespace dotrelay::simulation;
  unsigned long numbers[2] = {0, 1};
  int given = 0;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    char* end = nullptr;
    const unsigned long number = std::strtoul(argv[i], &end, 10);
    if (std::strcmp(argv[i], "--trace") == 0) {
      trace = true;
    } else if (given < 2 && end != argv[i] && *end == '\0') {
      numbers[given++] = number;
    } else {
      given = 3;
      break;
    }
  }
  if (given < 1 || given > 2 || numbers[0] == 0 || (trace && numbers[0] != 1)) {
    std::fputs("usage: simulation SEEDS [FIRST]\n       simulation 1 SEED --trace\n", stderr);
    return 2;
  }
  const auto first = static_cast<std::uint32_t>(numbers[1]);
  if (trace) return live_one(first, true);
  return live_many(first, static_cast<std::uint32_t>(numbers[0]));
}
