// The shape of a log line, the threshold, and the limit of lines a second. The log writes to a pipe here.
#include "base/log.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <fcntl.h>
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

TEST_CASE("a line has the time in UTC, the level, who speaks and the text") {
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
  log.info("nobody hears this");
  const Pipe pipe;
  while (write(pipe.in(), "x", 1) == 1) {
  }
  Log full(LogLevel::info, "worker 1", pipe.in());
  full.info("no room");
  CHECK(pipe.read_all().find("no room") == std::string::npos);
}

TEST_CASE("a text of several lines stays one line: nobody can forge an entry") {
  const Pipe pipe;
  Log log(LogLevel::info, "worker 1", pipe.in());
  log.info("first\nsecond\r\x1b[2J");
  const std::string written = pipe.read_all();
  CHECK(line_count(written) == 1);
  CHECK(written.find('\x1b') == std::string::npos);
  CHECK(written.find("first") != std::string::npos);
}

}  // namespace
}  // namespace dotrelay
