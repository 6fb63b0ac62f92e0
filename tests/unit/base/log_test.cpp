// The shape of a log line, the threshold, the limit of lines a second, and a reader that does not read or goes away.
// The log writes to pipes and sockets here.
#include "base/log.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sstream>
#include <sys/socket.h>
#include <unistd.h>

namespace dotrelay {
namespace {

class Pipe {
 public:
  Pipe() { REQUIRE(pipe2(ends_.data(), O_NONBLOCK | O_CLOEXEC) == 0); }
  ~Pipe() {
    for (const int end : ends_) close(end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int in() const { return ends_[1]; }

  /// Full, and a write would wait.
  void fill_and_block() const {
    while (::write(in(), "x", 1) == 1) {
    }
    REQUIRE(fcntl(in(), F_SETFL, O_WRONLY) == 0);
  }

  void empty() const { CHECK_FALSE(read_all().empty()); }

  void close_reader() {
    close(ends_[0]);
    ends_[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }

  [[nodiscard]] std::string read_all() const {
    std::string text;
    std::array<char, 4096> buffer;
    for (ssize_t count; (count = read(ends_[0], buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  std::array<int, 2> ends_{};
};

std::string digits_as_nines(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c >= '0' && c <= '9'; }, '9');
  return text;
}

std::size_t line_count(const std::string& text) { return static_cast<std::size_t>(std::ranges::count(text, '\n')); }

TEST_CASE("a line has the time in UTC, the level, the source and the text") {
  const Pipe pipe;
  Log log(LogLevel::debug, "worker 1", pipe.in());
  log.info("upstream quad9 is usable again");
  const std::string line = pipe.read_all();
  CAPTURE(line);
  CHECK(digits_as_nines(line).starts_with("9999-99-99T99:99:99.999Z info "));
  CHECK(line.ends_with(" worker 1: upstream quad9 is usable again\n"));
}

TEST_CASE("each level has its word") {
  const Pipe pipe;
  Log log(LogLevel::debug, "supervisor", pipe.in());
  const auto written_by = [&](auto write) {
    write();
    return pipe.read_all();
  };
  CHECK(written_by([&] { log.debug("a"); }).find("Z debug ") != std::string::npos);
  CHECK(written_by([&] { log.info("a"); }).find("Z info ") != std::string::npos);
  CHECK(written_by([&] { log.warning("a"); }).find("Z warning ") != std::string::npos);
  CHECK(written_by([&] { log.error("a"); }).find("Z error ") != std::string::npos);
}

TEST_CASE("what is below the threshold is not written") {
  const Pipe pipe;
  Log log(LogLevel::warning, "worker 1", pipe.in());
  log.debug("no");
  log.info("no");
  CHECK(pipe.read_all().empty());
  CHECK_FALSE(log.enabled(LogLevel::info));
  CHECK(log.enabled(LogLevel::warning));
  log.error("yes");
  CHECK(line_count(pipe.read_all()) == 1);
}

TEST_CASE("a flood of lines is cut off within its second") {
  const Pipe pipe;
  Log log(LogLevel::info, "worker 1", pipe.in());
  const TimePoint began = Clock::now();
  for (std::uint32_t i = 0; i < 3 * Log::kLinesPerSecond; ++i) log.info("flood");
  const bool within_a_second = Clock::now() - began < std::chrono::seconds(1);
  // A machine that stalled for a second may have begun a second one; the limit still halves the flood.
  CHECK(line_count(pipe.read_all()) <= (within_a_second ? 1 : 2) * Log::kLinesPerSecond + 1);
  log.debug("still below the threshold");
  CHECK(pipe.read_all().empty());
}

TEST_CASE("a closed or full descriptor stops nothing") {
  Log log(LogLevel::info, "worker 1", -1);
  log.info("this is not heard");
  const Pipe pipe;
  while (write(pipe.in(), "x", 1) == 1) {
  }
  Log full(LogLevel::info, "worker 1", pipe.in());
  full.info("no room");
  CHECK(pipe.read_all().find("no room") == std::string::npos);
}

TEST_CASE("a text of several lines stays one line: no entry can be forged") {
  const Pipe pipe;
  Log log(LogLevel::info, "worker 1", pipe.in());
  log.info("first\nsecond\r\x1b[2J");
  const std::string written = pipe.read_all();
  CHECK(line_count(written) == 1);
  CHECK(written.find('\x1b') == std::string::npos);
  CHECK(written.find("first") != std::string::npos);
}

/// Ends the test program when what must not wait does.
struct Patience {
  Patience() { alarm(10); }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;
  ~Patience() { alarm(0); }
};

TEST_CASE("a reader that does not read is not waited for, and hears of the loss once there is room") {
  const Patience patience;
  const Pipe pipe;
  pipe.fill_and_block();
  Log log(LogLevel::info, "worker 1", pipe.in());
  log.info("lost");
  log.info("lost, too");
  CHECK(log.lost() == 2);
  pipe.empty();
  log.tell_of_losses();
  CHECK(pipe.read_all().find("worker 1: 2 log lines lost: ") != std::string::npos);
  log.tell_of_losses();
  log.info("heard");
  const std::string after = pipe.read_all();
  CHECK(line_count(after) == 1);
  CHECK(after.ends_with("worker 1: heard\n"));
  CHECK(log.lost() == 2);
}

TEST_CASE("without a call in between the next line tells of the loss first") {
  const Patience patience;
  const Pipe pipe;
  pipe.fill_and_block();
  Log log(LogLevel::info, "worker 1", pipe.in());
  log.info("lost");
  pipe.empty();
  log.info("heard");
  const std::string text = pipe.read_all();
  CHECK(line_count(text) == 2);
  CHECK(text.find("1 log lines lost") < text.find("heard"));
}

TEST_CASE("a socket that takes a line in part gets its rest before the next line") {
  const Patience patience;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const int small = 1;  // the kernel's least
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  Log log(LogLevel::info, "w", ends[0]);
  const std::string content(3000, 'a');
  std::string all;
  std::array<char, 5000> buffer;
  for (int i = 0; i < 50; ++i) {
    log.info(content);
    if (i % 7 != 0) continue;
    const ssize_t size = recv(ends[1], buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) all.append(buffer.data(), static_cast<std::size_t>(size));
  }
  for (int i = 0; i < 50; ++i) {
    for (ssize_t size; (size = recv(ends[1], buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
      all.append(buffer.data(), static_cast<std::size_t>(size));
    }
    log.tell_of_losses();
  }
  for (const int end : ends) close(end);
  CHECK(log.lost() > 0);
  CHECK(all.ends_with('\n'));
  std::istringstream lines(all);
  std::size_t whole = 0;
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    const bool loss = line.find(" log lines lost: ") != std::string::npos;
    whole += loss ? 0U : 1U;
    CHECK((loss || line.ends_with("w: " + content)));
  }
  CHECK(whole + log.lost() == 50);
}

TEST_CASE("a reader that has gone stops nothing") {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  Log log(LogLevel::info, "worker 1", pipe.in());
  pipe.close_reader();
  log.info("this is not heard");
  CHECK(log.lost() == 1);
}

TEST_CASE("a line is never longer than a pipe takes whole") {
  const Pipe pipe;
  Log log(LogLevel::info, "worker 1", pipe.in());
  log.info(std::string(10'000, 'a'));
  const std::string line = pipe.read_all();
  CHECK(line.size() == LineOutput::kMaxLineBytes);
  CHECK(line.ends_with("aaa...\n"));
}

TEST_CASE("lines above the limit are counted") {
  const Pipe pipe;
  Log log(LogLevel::info, "worker 1", pipe.in());
  for (std::uint32_t i = 0; i < 3 * Log::kLinesPerSecond; ++i) log.info("flood");
  CHECK(log.suppressed() >= Log::kLinesPerSecond);
  CHECK(log.lost() == 0);
}

}  // namespace
}  // namespace dotrelay
