// The command line of the simulation: `simulation SEEDS [FIRST] [--trace]` lives the lives of SEEDS seeds from FIRST
// on, on all CPUs. At the first breach it tells the invariant, the virtual time and the last events, and exits with 1.
// `--strict` promises more (service.hpp); `--self-test` shows that the checker notices what it should.
#include "runner.hpp"
#include "self_test.hpp"

#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  using namespace dotrelay::simulation;
  unsigned long numbers[2] = {0, 1};
  int given = 0;
  if (argc == 2 && std::strcmp(argv[1], "--self-test") == 0) return run_self_test();
  bool trace = false;
  Promise promise = Promise::upstreams;
  for (int i = 1; i < argc; ++i) {
    char* end = nullptr;
    const unsigned long number = std::strtoul(argv[i], &end, 10);
    if (std::strcmp(argv[i], "--trace") == 0) {
      trace = true;
    } else if (std::strcmp(argv[i], "--strict") == 0) {
      promise = Promise::addresses;
    } else if (given < 2 && end != argv[i] && *end == '\0') {
      numbers[given++] = number;
    } else {
      given = 3;
      break;
    }
  }
  if (given < 1 || given > 2 || numbers[0] == 0 || (trace && numbers[0] != 1)) {
    std::fputs(
        "usage: simulation SEEDS [FIRST] [--strict]\n       simulation 1 SEED --trace [--strict]\n       simulation "
        "--self-test\n",
        stderr);
    return 2;
  }
  const auto first = static_cast<std::uint32_t>(numbers[1]);
  if (trace) return live_one(first, promise, true);
  return live_many(first, static_cast<std::uint32_t>(numbers[0]), promise);
}
