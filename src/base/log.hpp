// The text log: one line per event on standard error, bounded in lines a second so that a failing network cannot fill
// a disk. It never waits: a line for which there is no room is lost and counted. Passed by reference to what logs;
// nothing is global.
#pragma once

#include "base/clock.hpp"
#include "base/line_output.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace dotrelay {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

class Log {
 public:
  /// Lines a second before the rest of that second is counted instead of written.
  static constexpr std::uint32_t kLinesPerSecond = 100;

  /// `source` begins every line ("supervisor", "worker 1"). `descriptor` stays open as long as the log lives.
  Log(LogLevel threshold, std::string source, int descriptor = 2);

  [[nodiscard]] bool enabled(LogLevel level) const { return level >= threshold_; }

  void set_threshold(LogLevel threshold) { threshold_ = threshold; }

  void write(LogLevel level, std::string_view text);
  void debug(std::string_view text) { write(LogLevel::debug, text); }
  void info(std::string_view text) { write(LogLevel::info, text); }
  void warning(std::string_view text) { write(LogLevel::warning, text); }
  void error(std::string_view text) { write(LogLevel::error, text); }

  /// Tells of lost lines as soon as there is room again. To be called now and then; otherwise the next line tells it.
  void tell_of_losses();

  /// Lines that standard error did not take, of this object's whole life.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  /// Lines above kLinesPerSecond, likewise.
  [[nodiscard]] std::uint64_t suppressed() const { return suppressed_; }

 private:
  bool admit(TimePoint now);
  bool emit(LogLevel level, std::string_view text);
  void write_or_lose(LogLevel level, std::string_view text);

  LogLevel threshold_;
  std::string source_;
  LineOutput output_;
  TimePoint second_began_{};
  std::uint32_t lines_this_second_ = 0;
  std::uint64_t suppressed_ = 0;
  std::uint64_t suppressed_told_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t lost_told_ = 0;
};

}  // namespace dotrelay
