// See log.hpp.
#include "base/log.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <unistd.h>

namespace dotrelay {
namespace {

constexpr std::array<std::string_view, 4> kLevelText = {"debug  ", "info   ", "warning", "error  "};

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

Log::Log(LogLevel threshold, std::string who, int descriptor)
    : threshold_(threshold), who_(std::move(who)), descriptor_(descriptor) {}

void Log::write(LogLevel level, std::string_view text) {
  if (!enabled(level) || !admit(Clock::now())) return;
  emit(level, text);
}

bool Log::admit(TimePoint now) {
  if (now - second_began_ >= std::chrono::seconds(1)) {
    second_began_ = now;
    lines_this_second_ = 0;
    if (suppressed_ > 0) emit(LogLevel::warning, std::to_string(suppressed_) + " log lines suppressed");
    suppressed_ = 0;
  }
  if (++lines_this_second_ <= kLinesPerSecond) return true;
  ++suppressed_;
  return false;
}

// One write() a line, so that lines of several processes do not mix.
void Log::emit(LogLevel level, std::string_view text) const {
  std::string line = timestamp();
  line.append(" ").append(kLevelText[static_cast<std::size_t>(level)]).append(" ");
  line.append(who_).append(": ").append(text);
  // A text may quote what others chose; no octet of it may start a line or steer a terminal.
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  line += '\n';
  // A full or closed standard error must not stop the relay.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, line.data(), line.size());
}

}  // namespace dotrelay
