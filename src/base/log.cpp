// See log.hpp.
#include "base/log.hpp"

#include "base/printable.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

namespace dotrelay {
namespace {

constexpr std::array<std::string_view, 4> kLevelText = {"debug  ", "info   ", "warning", "error  "};

/// Ends a line that is longer than LineOutput takes.
constexpr std::string_view kCutOff = "...";

std::string timestamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1'000'000);
  return text;
}

}  // namespace

Log::Log(LogLevel threshold, std::string source, int descriptor)
    : threshold_(threshold), source_(std::move(source)), output_(descriptor) {}

void Log::write(LogLevel level, std::string_view text) {
  if (!enabled(level) || !admit(Clock::now())) return;
  write_or_lose(level, text);
}

bool Log::admit(TimePoint now) {
  if (now - second_began_ >= std::chrono::seconds(1)) {
    second_began_ = now;
    lines_this_second_ = 0;
    if (const std::uint64_t count = suppressed_ - std::exchange(suppressed_told_, suppressed_); count > 0) {
      write_or_lose(LogLevel::warning, std::to_string(count) + " log lines suppressed");
    }
  }
  if (++lines_this_second_ <= kLinesPerSecond) return true;
  ++suppressed_;
  return false;
}

void Log::write_or_lose(LogLevel level, std::string_view text) {
  tell_of_losses();
  if (lost_told_ != lost_ || !emit(level, text)) ++lost_;
}

void Log::tell_of_losses() {
  if (lost_told_ == lost_) return;
  const std::string count = std::to_string(lost_ - lost_told_);
  if (emit(LogLevel::warning, count + " log lines lost: standard error was not read, or full")) lost_told_ = lost_;
}

// One write() a line, so that lines of several processes do not mix.
bool Log::emit(LogLevel level, std::string_view text) {
  std::string line = timestamp();
  line.append(" ").append(kLevelText[static_cast<std::size_t>(level)]).append(" ");
  line.append(source_).append(": ").append(printable(text));
  if (line.size() >= LineOutput::kMaxLineBytes) {
    line.resize(LineOutput::kMaxLineBytes - 1 - kCutOff.size());
    line.append(kCutOff);
  }
  line += '\n';
  return output_.write(line);
}

}  // namespace dotrelay
