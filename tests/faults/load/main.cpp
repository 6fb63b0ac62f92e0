// Asks a forwarder unique questions at a fixed rate and writes down what became of each: the measuring side of `./dev
// faults`.
//
// Nothing is ever asked twice. Questions go round over many UDP sockets (so that SO_REUSEPORT spreads them over all
// workers) and persistent TCP connections. The rate holds whatever the answers do. One thread, one epoll; it also
// measures how late it was woken itself, because on a busy machine that explains much.
//
// Output, when sending has ended and every question is answered or `--patience` has passed:
//   # name value ...                       counters, one line
//   sent-ns latency-us|- rcode|- udp|tcp   one line a question; time is CLOCK_MONOTONIC
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "clients.hpp"

namespace {

using namespace faults;

constexpr const char* usage_text =
    "usage: faults-load --server IP:PORT [--rate QPS | --gap MS:MS] [--seconds S] [--udp SOCKETS] [--tcp CONNECTIONS]\n"
    "                   [--tcp-share 0..1] [--short-lived 0|1] [--patience S] [--name LABEL]\n";

struct Options {
  std::string server;
  double rate = 200;
  double gap_low_ms = 0;  // with gap_high_ms: single questions a random time apart, instead of a rate
  double gap_high_ms = 0;
  double seconds = 0;  // 0: until SIGTERM or SIGINT
  int udp = 64;
  int tcp = 0;
  double tcp_share = -1;     // of the questions; by default every socket asks equally often
  bool short_lived = false;  // TCP connections carry one question each
  double patience = 5;
  std::string name = "load";
};

volatile std::sig_atomic_t stop_requested = 0;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "faults-load: %s\n%s", what, usage_text);
  std::exit(2);
}

Options parse_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; i += 2) {
    const std::string_view flag = arguments[i];
    if (i + 1 == count) fail("an option without a value");
    const char* value = arguments[i + 1];
    if (flag == "--server") {
      options.server = value;
    } else if (flag == "--rate") {
      options.rate = std::atof(value);
    } else if (flag == "--gap") {
      if (std::sscanf(value, "%lf:%lf", &options.gap_low_ms, &options.gap_high_ms) != 2) fail("--gap wants LOW:HIGH");
    } else if (flag == "--seconds") {
      options.seconds = std::atof(value);
    } else if (flag == "--udp") {
      options.udp = std::atoi(value);
    } else if (flag == "--tcp") {
      options.tcp = std::atoi(value);
    } else if (flag == "--tcp-share") {
      options.tcp_share = std::atof(value);
    } else if (flag == "--short-lived") {
      options.short_lived = std::atoi(value) != 0;
    } else if (flag == "--patience") {
      options.patience = std::atof(value);
    } else if (flag == "--name") {
      options.name = value;
    } else {
      fail("an unknown option");
    }
  }
  if (options.server.empty() || options.udp + options.tcp < 1 || (options.gap_high_ms == 0 && options.rate <= 0)) {
    fail("a server, a client and a rate are needed");
  }
  if (options.tcp_share < 0) options.tcp_share = static_cast<double>(options.tcp) / (options.udp + options.tcp);
  return options;
}

// When the next question is due.
class Schedule {
 public:
  Schedule(const Options& options, std::int64_t start) : options_(options), start_(start), due_(start) {}

  std::int64_t due() const { return due_; }

  void advance() {
    if (options_.gap_high_ms > 0) {
      std::uniform_real_distribution<double> gap(options_.gap_low_ms, options_.gap_high_ms);
      due_ += static_cast<std::int64_t>(gap(random_) * 1e6);
      return;
    }
    due_ = start_ + static_cast<std::int64_t>(static_cast<double>(++number_) * 1e9 / options_.rate);
  }

 private:
  const Options& options_;
  std::int64_t start_, due_;
  std::int64_t number_ = 0;
  std::mt19937_64 random_{std::random_device{}()};
};

// How late the kernel woke this process, looked at once a millisecond.
class Lateness {
 public:
  explicit Lateness(std::int64_t now) : due_(now + tick) {}

  std::int64_t due() const { return due_; }
  std::int64_t largest() const { return largest_; }

  void look(std::int64_t now) {
    if (now < due_) return;
    largest_ = std::max(largest_, now - due_);
    due_ = now + tick;
  }

 private:
  static constexpr std::int64_t tick = 1'000'000;
  std::int64_t due_;
  std::int64_t largest_ = 0;
};

void write_results(const Journal& journal, const Lateness& lateness) {
  std::printf("# late-us %ld wrong %ld unexpected %ld refused %ld closed %ld unsent %ld\n", lateness.largest() / 1000,
              journal.wrong, journal.unexpected, journal.refused, journal.closed, journal.unsent);
  for (const Question& question : journal.questions) {
    const char* transport = question.tcp ? "tcp" : "udp";
    if (question.latency_ns < 0) {
      std::printf("%ld - - %s\n", question.sent_ns, transport);
    } else {
      std::printf("%ld %ld %d %s\n", question.sent_ns, question.latency_ns / 1000, question.rcode, transport);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  const Options options = parse_options(count, arguments);
  for (int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { stop_requested = 1; });
  std::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1000UL);

  Journal journal(options.name);
  Clients clients(journal, options.server, options.udp, options.tcp, options.short_lived);
  clients.settle();
  const std::int64_t start = now_ns();
  const std::int64_t end = options.seconds > 0 ? start + static_cast<std::int64_t>(options.seconds * 1e9) : INT64_MAX;
  Schedule schedule(options, start);
  Lateness lateness(start);
  double tcp_credit = 0;
  std::int64_t last_sent = start;
  bool sending = true;
  std::printf("started %ld\n", start);
  std::fflush(stdout);
  for (std::int64_t now = start;
       sending || (journal.open() > 0 && now < last_sent + static_cast<std::int64_t>(options.patience * 1e9));
       now = now_ns()) {
    lateness.look(now);
    if (sending && (stop_requested || schedule.due() >= end)) sending = false;
    while (sending && schedule.due() <= now) {
      tcp_credit += options.tcp_share;
      const bool over_tcp = tcp_credit >= 1;
      if (over_tcp) tcp_credit -= 1;
      clients.ask(over_tcp);
      schedule.advance();
      last_sent = now;
    }
    clients.wait(std::min(sending ? schedule.due() : INT64_MAX, lateness.due()));
  }
  write_results(journal, lateness);
  return 0;
}
