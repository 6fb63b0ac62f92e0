// bench-micro: nanoseconds a query for each step of its way, and for the way as a whole without sockets. The options
// are Google Benchmark's: --benchmark_filter=relay/ runs a part, --benchmark_format=json is for programs. The column
// Time is of one iteration, which may be a run of queries; items_per_second is always of single ones.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
