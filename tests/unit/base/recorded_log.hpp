// A log that a test reads.
#pragma once

#include "base/log.hpp"
#include "base/unique_fd.hpp"

#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace dotrelay::test {

/// A base class, because the file is there before the log that writes to it.
struct LogFile {
  UniqueFd file{memfd_create("log", MFD_CLOEXEC)};
};

class RecordedLog : private LogFile, public Log {
 public:
  explicit RecordedLog(LogLevel threshold = LogLevel::info, const std::string& source = "worker 1")
      : Log(threshold, source, file.get()) {}

  /// All lines so far.
  [[nodiscard]] std::string text() const {
    std::string text(static_cast<std::size_t>(lseek(file.get(), 0, SEEK_END)), '\0');
    const ssize_t size = pread(file.get(), text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  [[nodiscard]] bool has(const std::string& part) const { return text().find(part) != std::string::npos; }
};

}  // namespace dotrelay::test
