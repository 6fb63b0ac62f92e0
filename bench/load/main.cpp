// Keeps a number of questions in flight and measures what comes back: the load of `./dev bench`. Closed loop: the next
// question leaves when an answer has come, so the forwarder is never asked faster than it answers, and its CPU time a
// query is that of a busy one.
//
// It prints `ready` when its connections are made. Each line `run SECONDS QUERIES` on standard input runs once (0
// queries: no limit) and prints one line of JSON when everything is answered; `count` prints how many connections the
// server has closed. It ends with its input.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include "clients.hpp"

namespace {

[[noreturn]] void fail_usage() {
  std::fprintf(stderr, "usage: bench-load udp|tcp|tcp-once IPV4:PORT CLIENTS IN-FLIGHT\n");
  std::exit(2);
}

bench::Mode mode_of(const std::string& text) {
  if (text == "udp") return bench::Mode::udp;
  if (text == "tcp") return bench::Mode::tcp;
  if (text == "tcp-once") return bench::Mode::tcp_once;
  fail_usage();
}

void print(const bench::Tally& tally, double seconds) {
  std::printf(
      "{\"answered\": %lu, \"lost\": %lu, \"wrong\": %lu, \"failed\": %lu, \"seconds\": %.6f, \"p50_ms\": %.4f, "
      "\"p99_ms\": %.4f}\n",
      tally.answered, tally.lost, tally.wrong, tally.failed, seconds, tally.latencies.percentile(0.5),
      tally.latencies.percentile(0.99));
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) fail_usage();
  std::signal(SIGPIPE, SIG_IGN);
  const auto clients = static_cast<std::size_t>(std::atol(arguments[3]));
  const auto in_flight = static_cast<std::size_t>(std::atol(arguments[4]));
  if (clients == 0 || in_flight == 0 || in_flight > 32768) fail_usage();
  bench::Clients load(mode_of(arguments[1]), arguments[2], clients, in_flight);
  if (!load.connect()) {
    std::fprintf(stderr, "bench-load: not all connections could be made\n");
    return 1;
  }
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    double seconds = 0;
    unsigned long queries = 0;
    if (line == "count") {
      std::printf("%zu\n", load.count_closed());
      std::fflush(stdout);
    } else if (std::sscanf(line.c_str(), "run %lf %lu", &seconds, &queries) == 2) {
      const std::int64_t begin = bench::now_ns();
      const bench::Tally tally =
          load.run(begin + static_cast<std::int64_t>(seconds * 1e9), queries == 0 ? UINT64_MAX : queries);
      print(tally, static_cast<double>(bench::now_ns() - begin) / 1e9);
    } else {
      fail_usage();
    }
  }
  return 0;
}
