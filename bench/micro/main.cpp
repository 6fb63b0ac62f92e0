// bench-micro: nanoseconds for each step of a query's way, and for the way as a whole without sockets. The options are
// Google Benchmark's: --benchmark_filter=relay/ runs a part, --benchmark_format=json is for programs. Time and CPU are
// of one iteration, which may handle a run of queries; "each" and items_per_second are always of a single one.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
